// How fast struct pages are judged: GB/s of struct page, per second of one CPU.
//
//   classify_bench [REPEAT]
//
// "cache": the same 256 KiB again and again, as between the copy and the judgement in pass 1.
// "memory": 1 GiB of struct pages, judged where it lies. "vmcore": pass 1 over a vmcore in a memfd,
// with translation and counts; there the kernel's copy (or, mapped, the page faults, which
// /proc/vmcore does not have) is what takes the time, so a bare pread(2) stands beside.
#include <sys/mman.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "capture/base/buffer.h"
#include "filters/page_rules.h"
#include "tests/golden/judged_vmcore.h"

namespace {

using namespace dw;
using namespace dw::golden;

// CPU time of this thread, so that a busy machine does not show.
double cpu_seconds() {
  timespec now;
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) std::abort();
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

constexpr size_t kStructPage = 64;

uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

PageLayout layout_of(const KernelEra& era) {
  KernelSpec spec;
  spec.era = &era;
  KernelBuilder builder(spec);
  std::string text = builder.vmcoreinfo();
  std::vector<LayoutGap> gaps;
  return find_page_layout(Vmcoreinfo(text), gaps);
}

template <typename T>
void put(std::byte* page, size_t offset, T value) {
  std::memcpy(page + offset, &value, sizeof(T));
}

void make_single(std::byte* page, unsigned kind, const KernelEra& era) {
  std::memset(page, 0, kStructPage);
  put(page, kMapcountAt, int32_t{-1});
  uint64_t flags = 0;
  if (kind == 1) flags = 1u << era.lru | 1u << era.referenced;
  if (kind == 2) flags = 1u << era.lru | 1u << era.swapbacked;
  if (kind == 2) put(page, kMappingAt, uint64_t{0xffff888000009001});
  if (kind == 3) put(page, kMapcountAt, era.buddy);
  if (kind == 4) put(page, kMapcountAt, *era.slab);
  if (kind == 5) put(page, kMapcountAt, era.page_table);
  put(page, kFlagsAt, flags);
}

// Single pages of random kinds, or runs and blocks as in a machine that has been up for a while.
void fill(std::byte* pages, size_t count, bool random, const KernelEra& era) {
  uint64_t state = 88172645463325252;
  for (size_t i = 0; i < count;) {
    uint64_t dice = next_random(state);
    unsigned order = random ? 0 : static_cast<unsigned>(dice >> 8 & 15);
    if (order > 10 || (i & ((size_t{1} << order) - 1)) != 0 || i + (size_t{1} << order) > count)
      order = 0;
    auto kind = static_cast<unsigned>(dice % 6);
    size_t n = size_t{1} << order;
    size_t run = !random && order == 0 ? std::min<size_t>(count - i, 1 + (dice >> 16 & 63)) : n;
    for (size_t k = 0; k < run; ++k) make_single(pages + (i + k) * kStructPage, kind, era);
    if (order != 0 && kind == 3) {
      for (size_t k = 1; k < n; ++k) make_single(pages + (i + k) * kStructPage, 0, era);
      put(pages + i * kStructPage, kPrivateAt, uint64_t{order});
    } else if (order != 0) {
      uint64_t flags;
      std::memcpy(&flags, pages + i * kStructPage, 8);
      put(pages + i * kStructPage, kFlagsAt, flags | 1u << era.head);
      for (size_t k = 1; k < n; ++k)
        put(pages + (i + k) * kStructPage, kCompoundHeadAt, uint64_t{0xffffea0000000001});
      put(pages + (i + 1) * kStructPage, kFlagsAt, uint64_t{order});
    }
    i += run;
  }
}

double judge(const PageRules& rules, const std::byte* pages, size_t count, unsigned repeat) {
  std::vector<PageCode> codes(kChunkPages);
  uint64_t sum = 0;
  double begin = cpu_seconds();
  for (unsigned round = 0; round < repeat; ++round)
    for (size_t i = 0; i < count; i += kChunkPages) {
      rules.classify_chunk(pages + i * kStructPage, i, {}, codes.data());
      sum += codes[i & 255];
    }
  double seconds = cpu_seconds() - begin;
  if (sum == 1) std::puts("");
  return static_cast<double>(count) * kStructPage * repeat / seconds / 1e9;
}

// The yardstick beside: copying the same bytes in the same pieces.
void bench_copy(unsigned repeat) {
  constexpr size_t kBytes = size_t{1} << 30;
  constexpr size_t kPiece = 256 << 10;
  Result<Buffer> from = Buffer::allocate(kBytes);
  Result<Buffer> to = Buffer::allocate(kPiece);
  if (!from.ok() || !to.ok()) std::abort();
  double begin = cpu_seconds();
  for (unsigned round = 0; round < repeat; ++round)
    for (size_t at = 0; at < kBytes; at += kPiece) {
      std::memcpy(to->data(), from->data() + at, kPiece);
      asm volatile("" ::"r"(to->data()) : "memory");
    }
  std::printf("%-22s memory %6.2f GB/s\n", "memcpy",
              static_cast<double>(kBytes) * repeat / (cpu_seconds() - begin) / 1e9);
}

void bench_memory(bool random, unsigned repeat) {
  const KernelEra& era = k6_12;
  PageRules rules(layout_of(era), 31);
  size_t count = size_t{1} << 24;
  Result<Buffer> pages = Buffer::allocate(count * kStructPage);
  if (!pages.ok()) std::abort();
  fill(pages->data(), count, random, era);
  const char* what = random ? "random single pages" : "runs and blocks";
  std::printf("%-22s cache  %6.2f GB/s\n", what, judge(rules, pages->data(), 4096, 4096 * repeat));
  std::printf("%-22s memory %6.2f GB/s\n", what, judge(rules, pages->data(), count, repeat));
}

constexpr uint64_t kMemmapAt = uint64_t{1} << 30;
constexpr uint64_t kMemmapSections = 512;  // 1 GiB of struct pages, more than any cache holds
constexpr uint64_t kSectionMemmap = kSectionPages * kStructPage;

// A kernel with that many sections of RAM. Beyond 64 GiB the memmap repeats: the same struct pages
// appear at further virtual addresses.
uint64_t describe(KernelBuilder& builder, uint64_t sections) {
  VmcoreBuilder& memory = builder.memory();
  memory.add_ram(128 << 20, sections * kSectionBytes - (128 << 20));
  for (uint64_t number = 1; number < sections; ++number)
    builder.map(builder.vmemmap_base() + number * kSectionMemmap,
                kMemmapAt + number % kMemmapSections * kSectionMemmap, 2 << 20);
  builder.build();
  uint64_t root = builder.section_entry_address(0);
  for (uint64_t number = 1; number < sections; ++number) {
    if (number % 128 == 0) {
      root = builder.allocate(4096);
      memory.store(builder.section_table() + number / 128 * 8, builder.direct_map() + root);
    }
    memory.store(root + number % 128 * 32, builder.vmemmap_base() + 15);
  }
  return memory.file_offset_of_segment(2) + kMemmapAt - (128 << 20);
}

void bench_vmcore(uint64_t sections, ReadMethod method, unsigned repeat) {
  KernelSpec spec;
  KernelBuilder builder(spec);
  uint64_t offset = describe(builder, sections);
  TemporaryVmcore file(builder.memory());
  std::vector<std::byte> section(kSectionMemmap);
  fill(section.data(), kSectionPages, false, k6_12);
  for (uint64_t at = 0; at < kMemmapSections * kSectionMemmap; at += section.size())
    if (::pwrite(file.fd(), section.data(), section.size(), static_cast<off_t>(offset + at)) < 0)
      std::abort();

  Result<Vmcore> vmcore = Vmcore::open(file.path(), method);
  if (!vmcore.ok()) std::abort();
  VmcoreLayout layout = find_layout(*vmcore);
  if (!layout.usable()) std::abort();
  Result<WindowClassifier> judge = WindowClassifier::create(*vmcore, layout, 31);
  if (!judge.ok()) std::abort();
  std::vector<uint64_t> verdict(kSectionPages / 64);
  ClassCounts counts;
  double begin = cpu_seconds();
  for (unsigned round = 0; round < repeat; ++round)
    for (uint64_t number = 0; number < sections; ++number)
      judge->classify(number * kSectionPages, kSectionPages, verdict, counts);
  double seconds = (cpu_seconds() - begin) / repeat;
  uint64_t gib = sections / 8;
  std::printf("%-22s %4llu GiB %5.2f GB/s, %.3f ms per GiB of RAM\n",
              method == ReadMethod::kMap ? "vmcore, mapped" : "vmcore, read",
              static_cast<unsigned long long>(gib),
              static_cast<double>(sections * kSectionMemmap) / seconds / 1e9,
              seconds * 1000 / static_cast<double>(gib));
  if (counts.of(PageClass::kUnknown) != 0) std::abort();
  if (sections != kMemmapSections) return;

  Result<Buffer> into = Buffer::allocate(256 << 10);
  if (!into.ok()) std::abort();
  begin = cpu_seconds();
  for (uint64_t at = 0; at < kMemmapSections * kSectionMemmap; at += into->size())
    if (::pread(file.fd(), into->data(), into->size(), static_cast<off_t>(offset + at)) < 0)
      std::abort();
  std::printf(
      "%-22s          %5.2f GB/s\n", "bare pread(2) of it",
      static_cast<double>(kMemmapSections * kSectionMemmap) / (cpu_seconds() - begin) / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  unsigned repeat = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 3;
  bench_copy(repeat);
  bench_memory(false, repeat);
  bench_memory(true, repeat);
  bench_vmcore(kMemmapSections, ReadMethod::kRead, repeat);
  bench_vmcore(kMemmapSections, ReadMethod::kMap, repeat);
  bench_vmcore(16 * kMemmapSections, ReadMethod::kRead, 1);
}
