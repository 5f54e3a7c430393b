// Page tables, mem_section and struct pages of any content, in a vmcore of 16 MiB. The input is:
// flags (1 byte), six table words, then memory from physical address 0 on, where the image is, too.
//
// Every walk ends, nothing outside the vmcore is read, and a chunk alone is judged as in its
// window.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "capture/kernel/important_pages.h"
#include "capture/kernel/near_pages.h"
#include "tests/golden/judged_vmcore.h"

namespace {

using namespace dw;
using namespace dw::golden;

constexpr uint64_t kMemoryBytes = 16 << 20;
constexpr size_t kMaxInputBytes = 256 << 10;  // the rest is zeros
constexpr size_t kWordsAt = 1;
constexpr size_t kMemoryAt = kWordsAt + 6 * 8;

void require(bool condition) {
  if (!condition) std::abort();
}

uint64_t word(const uint8_t* data, size_t index) {
  uint64_t value;
  std::memcpy(&value, data + kWordsAt + index * 8, sizeof(value));
  return value;
}

std::string vmcoreinfo(uint8_t flags, const KernelEra& era, uint64_t table) {
  KernelSpec spec;
  spec.era = &era;
  spec.five_levels = (flags & 1) != 0;
  spec.extreme = (flags & 2) != 0;
  spec.image_physical = 0;
  KernelBuilder builder(spec);
  char text[32];
  std::snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(table));
  builder.set_key("SYMBOL(mem_section)", text);
  return builder.vmcoreinfo();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kMemoryAt || size > kMaxInputBytes) return 0;
  const KernelEra& era = *all_eras()[data[0] >> 5];
  VmcoreBuilder memory;
  memory.add_ram(0, kMemoryBytes);
  memory.add_segment({.physical_address = 0,
                      .memory_size = kMaxInputBytes,
                      .virtual_address = kImageMap,
                      .file_size = kMaxInputBytes});
  // The top table, at 64 KiB, is never all holes: five entries of the input's choice.
  for (size_t i = 0; i < 5; ++i)
    memory.store(0x10000 + (256 + word(data, i) % 256) * 8, word(data, i));
  memory.write(0, std::as_bytes(std::span(data + kMemoryAt, size - kMemoryAt)));
  memory.add_vmcoreinfo(vmcoreinfo(data[0], era, word(data, 5) | uint64_t{0xff} << 56));

  JudgedVmcore judged(memory);
  KernelMemory kernel(judged.vmcore(), judged.layout().translation);
  for (size_t i = 0; i < 6; ++i) {
    Result<Mapping> found = kernel.translate(word(data, i));
    if (found.ok()) require(found->size != 0 && found->size <= uint64_t{2} << 30);
    std::array<std::byte, 8192> into;
    (void)kernel.read(word(data, i), into);
  }
  ImportantPages important = find_important_pages(judged.vmcore(), judged.layout());
  require(important.table_count <= kMaxPageTables);
  for (size_t i = 1; i < important.ranges.size(); ++i)
    require(important.ranges[i - 1].end < important.ranges[i].begin);

  Result<NearPages> near_pages = NearPages::create();
  require(near_pages.ok());
  unsigned last = 1;
  near_pages->find(judged.vmcore(), judged.layout(), [&](uint64_t, unsigned distance) {
    require(distance >= last && distance <= kMaxDistance);
    last = distance;
  });

  ClassCounts by_window, by_chunk;
  std::vector<uint64_t> verdict = judged.verdict(31, window_pages(judged.layout()), by_window);
  require(judged.verdict(31, kChunkPages, by_chunk) == verdict);
  require(by_window == by_chunk && by_window.total() == judged.vmcore().memory().page_count());
  return 0;
}
