// What VMCOREINFO says about the crashed kernel, made ready for use: the layout of struct page, how
// to translate addresses, and where the memmap is. By presence of keys, never by kernel version.
//
// Finding a layout never fails: what is missing stands in `gaps`, with what it costs, and whatever
// depends on it is kept. Plain data, immutable after it is found; shared by all threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capture/kernel/vmcoreinfo.h"
#include "capture/source/vmcore.h"
#include "filters/page_layout.h"

namespace dw {

// A key that is missing or makes no sense, and what follows. Both are literals.
struct LayoutGap {
  const char* key;
  const char* consequence;
};

// x86_64 address translation. Documentation/arch/x86/x86_64/mm.rst.
struct TranslationLayout {
  unsigned levels = 0;              // 4 or 5; 0: virtual addresses cannot be translated
  uint64_t top_table = 0;           // physical address of init_top_pgt
  uint64_t image_begin = 0;         // virtual: the kernel image is mapped linearly,
  uint64_t image_end = 0;           // so that physical = virtual - image_begin + phys_base
  uint64_t phys_base = 0;           // modulo 2^64: it may be negative
  uint64_t entry_address_mask = 0;  // of a page table entry, without the memory encryption bit
};

// Where struct mem_section are: include/linux/mmzone.h.
struct MemmapLayout {
  bool usable = false;
  // With SPARSEMEM_EXTREME an array of pointers to groups ("roots") of sections_per_root sections,
  // else one array of sections. Virtual address.
  bool extreme = false;
  uint64_t table = 0;
  uint64_t root_count = 0;
  uint64_t sections_per_root = 0;
  uint64_t section_count = 0;
  uint32_t entry_bytes = 0;          // SIZE(mem_section)
  uint32_t mem_map_offset = 0;       // OFFSET(mem_section.section_mem_map)
  unsigned section_pages_order = 0;  // a section holds 2^this pages
};

struct VmcoreLayout {
  PageLayout page;
  TranslationLayout translation;
  MemmapLayout memmap;
  uint64_t page_size = 4096;
  std::vector<LayoutGap> gaps;

  // False: no page can be classified, everything but zero pages is kept.
  [[nodiscard]] bool usable() const {
    return page.struct_page_bytes != 0 && translation.levels != 0 && memmap.usable;
  }
};

// VMCOREINFO as it stands in the vmcore's notes, which it points into. Empty if there is none.
[[nodiscard]] Vmcoreinfo vmcoreinfo_of(const Vmcore& vmcore);

// Reads a little of the crashed kernel's memory (to tell the kinds of mem_section apart).
[[nodiscard]] VmcoreLayout find_layout(const Vmcore& vmcore);

// The parts that need VMCOREINFO only.
[[nodiscard]] PageLayout find_page_layout(const Vmcoreinfo& info, std::vector<LayoutGap>& gaps);
[[nodiscard]] TranslationLayout find_translation(const Vmcoreinfo& info, const ElfHeaders& headers,
                                                 std::vector<LayoutGap>& gaps);
// `table` may still be the address of a pointer to the table: see resolve_memmap().
[[nodiscard]] MemmapLayout find_memmap(const Vmcoreinfo& info, unsigned page_table_levels,
                                       std::vector<LayoutGap>& gaps);

// The pages of a window: a power of two, at least a section and the largest free block, so that
// neither crosses a window. At most kMaxWindowPages.
inline constexpr uint64_t kMaxWindowPages = uint64_t{1} << 18;
[[nodiscard]] uint64_t window_pages(const VmcoreLayout& layout);

}  // namespace dw
