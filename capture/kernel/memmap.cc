#include "capture/kernel/memmap.h"

#include <optional>

#include "capture/base/checked.h"

namespace dw {

namespace {

// Low bits of section_mem_map. An encoded memmap address is page aligned, so all of them are flags;
// kernels add some (4.13, 5.3, 5.12), but these three keep their places.
constexpr uint64_t kFlagBits = 0xfff;
constexpr uint64_t kMarkedPresent = 1 << 0;
constexpr uint64_t kHasMemmap = 1 << 1;
constexpr uint64_t kOnline = 1 << 2;

// The kernel half, whatever the number of levels.
constexpr uint64_t kKernelHalf = 0xff00000000000000;

// How many sections with memory in them are asked for a verdict on a table.
constexpr size_t kMaxProbes = 64;

// How many of the first sections of RAM have struct pages that can be read.
size_t plausible_sections(const Vmcore& vmcore, const VmcoreLayout& layout, KernelMemory& memory) {
  Memmap memmap(layout, memory);
  size_t good = 0;
  size_t probes = 0;
  for (const PfnRange& range : vmcore.memory().pfn_ranges()) {
    if (++probes > kMaxProbes) break;
    uint64_t last = memmap.section_of(range.end - 1);
    for (uint64_t number : {memmap.section_of(range.begin), last}) {
      Section section = memmap.section(number);
      if (section.state != Section::State::kOnline) continue;
      if (memory.read_word(section.struct_pages).ok()) ++good;
    }
  }
  return good;
}

}  // namespace

// The number is below section_count.
Result<uint64_t> Memmap::section_entry(uint64_t number) {
  const MemmapLayout& memmap = layout_->memmap;
  uint64_t entries = memmap.table;
  uint64_t index = number;
  if (memmap.extreme) {
    DW_ASSIGN(entries, memory_->read_word(memmap.table + number / memmap.sections_per_root * 8));
    if (entries == 0) return uint64_t{0};
    index = number % memmap.sections_per_root;
  }
  return memory_->read_word(entries + index * memmap.entry_bytes + memmap.mem_map_offset);
}

Section Memmap::look_up(uint64_t number) {
  if (number >= layout_->memmap.section_count) return {};
  Result<uint64_t> entry = section_entry(number);
  if (!entry.ok()) return {.state = Section::State::kUnreadable};
  // A hot-removed section keeps the rest of its entry: kernel commit ba72b4c8cf60.
  if ((*entry & kMarkedPresent) == 0 || (*entry & kHasMemmap) == 0) return {};
  uint64_t first_pfn = number << layout_->memmap.section_pages_order;
  // The kernel stores the address that the struct page of pfn 0 would have, modulo 2^64.
  uint64_t pages = (*entry & ~kFlagBits) + first_pfn * layout_->page.struct_page_bytes;
  uint64_t bytes = uint64_t{layout_->page.struct_page_bytes} << layout_->memmap.section_pages_order;
  if (pages < kKernelHalf || !checked_add(pages, bytes))
    return {.state = Section::State::kUnreadable};
  bool online = (*entry & kOnline) != 0;
  return {.state = online ? Section::State::kOnline : Section::State::kOffline,
          .struct_pages = pages};
}

Section Memmap::section(uint64_t number) {
  if (number != cached_number_) {
    cached_ = look_up(number);
    cached_number_ = number;
  }
  return cached_;
}

bool resolve_memmap(const Vmcore& vmcore, VmcoreLayout& layout) {
  KernelMemory memory(vmcore, layout.translation);
  size_t direct = plausible_sections(vmcore, layout, memory);
  if (direct != 0 || !layout.memmap.extreme) return direct != 0;
  Result<uint64_t> table = memory.read_word(layout.memmap.table);
  if (!table.ok() || *table < kKernelHalf) return false;
  layout.memmap.table = *table;
  return plausible_sections(vmcore, layout, memory) != 0;
}

}  // namespace dw
