// Makes the vmcore that the random trials capture: a kernel with struct pages of every common kind,
// and memory of which a fifth are zeros, a tenth repeats, and the rest splits into pages that
// compress and pages that do not. The same bytes for the same arguments.
//
//   trial_vmcore MIB SEED OUT     MIB: RAM behind the kernel's first 128 MiB, a multiple of 2
//
// The upper half of that RAM stands before the lower one in the file, so that a file that is cut
// lacks memory from the middle. Prints where the struct pages of that RAM stand, one line for each
// section:
//
//   memmap PHYSICAL-ADDRESS BYTES
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/golden/memmap_builder.h"

namespace {

using namespace dw::golden;

constexpr uint64_t kFirstRam = 128 << 20;  // KernelBuilder's own

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t below(uint64_t limit) { return next() % limit; }

 private:
  uint64_t state_;
};

using Page = std::vector<uint64_t>;

void fill_with_noise(Page& page, Random& random) {
  for (uint64_t& word : page) word = random.next();
}

// Pointers and small numbers: what makes kernel memory compress to a third.
void fill_with_structures(Page& page, Random& random) {
  for (uint64_t& word : page) {
    uint64_t dice = random.below(4);
    word = dice == 0 ? kDirectMap + random.below(1 << 28) : dice == 1 ? random.below(256) : 0;
  }
  page[0] |= 1;
}

void describe_page(KernelBuilder& kernel, uint64_t pfn, Random& random) {
  switch (random.below(6)) {
    case 0:
      kernel.buddy(pfn, 0);
      break;
    case 1:
      kernel.cache(pfn);
      break;
    case 2:
      kernel.anon(pfn);
      break;
    case 3:
      kernel.slab(pfn);
      break;
    case 4:
      kernel.page_table(pfn);
      break;
    default:  // in use by the kernel, as all that is not mentioned
      break;
  }
}

// Runs of 1 to 64 pages of one kind, as in a real machine.
void describe_memory(KernelBuilder& kernel, uint64_t begin_pfn, uint64_t end_pfn, uint64_t seed) {
  Random random(seed);
  for (uint64_t pfn = begin_pfn; pfn < end_pfn;) {
    uint64_t run = 1 + random.below(64);
    uint64_t kind = random.next();
    for (; run > 0 && pfn < end_pfn; --run, ++pfn) {
      Random same(kind);
      describe_page(kernel, pfn, same);
    }
  }
}

void write_segment(int fd, uint64_t offset, uint64_t pages, uint64_t seed) {
  Random random(seed);
  Page page(kPageBytes / sizeof(uint64_t));
  fill_with_noise(page, random);
  for (uint64_t i = 0; i < pages; ++i) {
    uint64_t dice = random.below(20);
    if (dice < 4) continue;  // a hole: zeros
    if (dice >= 6 && dice < 13) fill_with_noise(page, random);
    if (dice >= 13) fill_with_structures(page, random);
    auto at = static_cast<off_t>(offset + i * kPageBytes);
    if (::pwrite(fd, page.data(), kPageBytes, at) != static_cast<ssize_t>(kPageBytes))
      fail("the vmcore cannot be written");
  }
}

// One line for each section of that RAM.
void print_memmaps(const KernelBuilder& kernel, uint64_t begin_pfn, uint64_t end_pfn) {
  for (uint64_t pfn = begin_pfn; pfn < end_pfn; pfn += kSectionPages) {
    uint64_t pages = std::min(kSectionPages, end_pfn - pfn);
    std::printf("memmap %llu %llu\n",
                static_cast<unsigned long long>(kernel.struct_page_address(pfn)),
                static_cast<unsigned long long>(pages * KernelSpec{}.struct_page_bytes));
  }
}

uint64_t number(const char* text) {
  char* end = nullptr;
  uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') fail(text);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: trial_vmcore MIB SEED OUT");
  uint64_t half = number(argv[1]) / 2 << 20;
  uint64_t seed = number(argv[2]);
  if (half < 1 << 20) fail("at least 2 MiB");

  KernelBuilder kernel(KernelSpec{.era = &k6_12});
  kernel.add_ram(kFirstRam + half, half).add_ram(kFirstRam, half);
  uint64_t first_pfn = kFirstRam / kPageBytes;
  uint64_t pages = half / kPageBytes;
  describe_memory(kernel, first_pfn, first_pfn + 2 * pages, seed);
  VmcoreBuilder& vmcore = kernel.build();
  vmcore.write_to(argv[3]);

  int fd = ::open(argv[3], O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail(argv[3]);
  // Segments 0 and 1 are the kernel's image and its first RAM.
  for (uint64_t i : {2, 3}) write_segment(fd, vmcore.file_offset_of_segment(i), pages, seed + i);
  if (::close(fd) != 0) fail(argv[3]);
  print_memmaps(kernel, first_pfn, first_pfn + 2 * pages);
}
