#include "capture/kernel/layout.h"

#include <algorithm>
#include <bit>

#include "capture/base/checked.h"
#include "capture/kernel/memmap.h"
#include "capture/kernel/notes.h"

namespace dw {

namespace {

constexpr const char* kNoTranslation =
    "kernel addresses cannot be translated: all but zero pages are kept";
constexpr const char* kNoMemmap = "the memmap cannot be found: all but zero pages are kept";

// arch/x86/include/asm/page_64_types.h: __START_KERNEL_map and KERNEL_IMAGE_SIZE.
constexpr uint64_t kImageBegin = 0xffffffff80000000;
constexpr uint64_t kImageBytesWithoutKaslr = 512 << 20;
constexpr uint64_t kImageBytesMax = 2046ull << 20;
constexpr uint64_t kEntryAddressBits = 0x000ffffffffff000;

// arch/x86/include/asm/sparsemem.h; from 5.8 both are exported (kernel commit 1d50e5d0c505).
constexpr int64_t kSectionSizeBits = 27;
constexpr int64_t kPhysicalBits = 46;
constexpr int64_t kPhysicalBitsFiveLevels = 52;

std::optional<uint64_t> top_table_symbol(const Vmcoreinfo& info) {
  for (const char* name : {"init_top_pgt", "swapper_pg_dir", "init_level4_pgt"})
    if (std::optional<uint64_t> address = info.symbol(name)) return address;
  return std::nullopt;
}

// NUMBER(phys_base), or what the kernel image's own segment says.
std::optional<uint64_t> find_phys_base(const Vmcoreinfo& info, const ElfHeaders& headers) {
  if (std::optional<int64_t> number = info.number("phys_base"))
    return static_cast<uint64_t>(*number);
  for (const Segment& segment : headers.segments)
    if (segment.virtual_address >= kImageBegin)
      return segment.physical_address - (segment.virtual_address - kImageBegin);
  return std::nullopt;
}

bool is_encryption_bit(int64_t mask) {
  auto bits = static_cast<uint64_t>(mask);
  return std::has_single_bit(bits) && bits >= uint64_t{1} << 32;
}

uint64_t image_bytes(const Vmcoreinfo& info) {
  std::optional<int64_t> size = info.number("KERNEL_IMAGE_SIZE");
  if (!size || *size <= 0 || static_cast<uint64_t>(*size) > kImageBytesMax)
    return kImageBytesWithoutKaslr;
  return static_cast<uint64_t>(*size);
}

}  // namespace

Vmcoreinfo vmcoreinfo_of(const Vmcore& vmcore) { return vmcoreinfo_in(vmcore.headers().notes); }

TranslationLayout find_translation(const Vmcoreinfo& info, const ElfHeaders& headers,
                                   std::vector<LayoutGap>& gaps) {
  TranslationLayout out;
  std::optional<uint64_t> top = top_table_symbol(info);
  std::optional<uint64_t> phys_base = find_phys_base(info, headers);
  out.image_begin = kImageBegin;
  out.image_end = kImageBegin + image_bytes(info);
  if (!top || *top < out.image_begin || *top >= out.image_end || *top % 4096 != 0) {
    gaps.push_back({"SYMBOL(init_top_pgt) or SYMBOL(swapper_pg_dir)", kNoTranslation});
    return out;
  }
  if (!phys_base || *phys_base % 4096 != 0) {
    gaps.push_back({"NUMBER(phys_base)", kNoTranslation});
    return out;
  }
  out.phys_base = *phys_base;
  out.top_table = *top - kImageBegin + *phys_base;
  if (out.top_table >= kMaxPhysicalAddress) {
    gaps.push_back({"NUMBER(phys_base)", kNoTranslation});
    return out;
  }
  out.entry_address_mask = kEntryAddressBits;
  std::optional<int64_t> encryption = info.number("sme_mask");
  if (encryption && is_encryption_bit(*encryption))
    out.entry_address_mask &= ~static_cast<uint64_t>(*encryption);
  out.levels = info.number("pgtable_l5_enabled").value_or(0) != 0 ? 5 : 4;
  return out;
}

MemmapLayout find_memmap(const Vmcoreinfo& info, unsigned page_table_levels,
                         std::vector<LayoutGap>& gaps) {
  MemmapLayout out;
  std::optional<uint64_t> table = info.symbol("mem_section");
  std::optional<uint64_t> size = info.size("mem_section");
  std::optional<uint64_t> offset = info.offset("mem_section.section_mem_map");
  if (!table || !size || !offset || *size < 8 || *size > 4096 || !range_fits(*offset, 8, *size)) {
    gaps.push_back(
        {"SYMBOL(mem_section), SIZE(mem_section), "
         "OFFSET(mem_section.section_mem_map)",
         kNoMemmap});
    return out;
  }
  int64_t section_bits = info.number("SECTION_SIZE_BITS").value_or(kSectionSizeBits);
  int64_t physical_bits =
      info.number("MAX_PHYSMEM_BITS")
          .value_or(page_table_levels == 5 ? kPhysicalBitsFiveLevels : kPhysicalBits);
  if (section_bits < 21 || section_bits > 30 || physical_bits <= section_bits ||
      physical_bits > kPhysicalBitsFiveLevels) {
    gaps.push_back({"NUMBER(SECTION_SIZE_BITS), NUMBER(MAX_PHYSMEM_BITS)", kNoMemmap});
    return out;
  }
  out.table = *table;
  out.entry_bytes = static_cast<uint32_t>(*size);
  out.mem_map_offset = static_cast<uint32_t>(*offset);
  out.section_pages_order = static_cast<unsigned>(section_bits) - 12;
  out.section_count = uint64_t{1} << (physical_bits - section_bits);
  uint64_t per_page = 4096 / *size;
  uint64_t roots = divide_up(out.section_count, per_page);
  uint64_t length = info.length("mem_section").value_or(roots);
  // Either the number of roots of SPARSEMEM_EXTREME, or of sections of the static array.
  out.extreme = length == roots && roots != out.section_count;
  if (!out.extreme && length != out.section_count) {
    gaps.push_back({"LENGTH(mem_section)", kNoMemmap});
    return out;
  }
  out.sections_per_root = out.extreme ? per_page : 1;
  out.root_count = length;
  out.usable = true;
  return out;
}

VmcoreLayout find_layout(const Vmcore& vmcore) {
  VmcoreLayout layout;
  layout.page_size = vmcore.page_size();
  Vmcoreinfo info = vmcoreinfo_of(vmcore);
  if (info.empty()) {
    layout.gaps.push_back({"VMCOREINFO", "no page can be classified: all but zero pages are kept"});
    return layout;
  }
  if (vmcore.headers().machine != Machine::kX86_64 || info.page_size().value_or(4096) != 4096) {
    layout.gaps.push_back({"x86_64 with 4 KiB pages", kNoTranslation});
    return layout;
  }
  layout.page = find_page_layout(info, layout.gaps);
  layout.translation = find_translation(info, vmcore.headers(), layout.gaps);
  layout.memmap = find_memmap(info, layout.translation.levels, layout.gaps);
  if (layout.usable() && !resolve_memmap(vmcore, layout)) {
    layout.memmap.usable = false;
    layout.gaps.push_back({"SYMBOL(mem_section)", kNoMemmap});
  }
  return layout;
}

uint64_t window_pages(const VmcoreLayout& layout) {
  uint64_t section = uint64_t{1} << (layout.memmap.usable ? layout.memmap.section_pages_order : 15);
  unsigned length = layout.page.free_area_length.value_or(11);
  uint64_t block = uint64_t{1} << (length - 1);
  return std::min(kMaxWindowPages, std::max(section, block));
}

}  // namespace dw
