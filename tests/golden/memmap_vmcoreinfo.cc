// The VMCOREINFO of a synthetic kernel, in the words and the order of kernel/vmcore_info.c.
#include <algorithm>
#include <cstdio>
#include <string>

#include "tests/golden/memmap_builder.h"

namespace dw::golden {

namespace {

constexpr uint64_t kTopTableAt = 0x10000;
constexpr uint64_t kSectionPointerAt = 0x20000;
constexpr uint64_t kSectionEntryBytes = 32;

std::string hex(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%llx", static_cast<unsigned long long>(value));
  return text;
}

class Lines {
 public:
  void add(const std::string& key, const std::string& value) { lines_.emplace_back(key, value); }
  void symbol(const std::string& name, uint64_t address) {
    add("SYMBOL(" + name + ")", hex(address));
  }
  void offset(const std::string& name, uint64_t n) {
    add("OFFSET(" + name + ")", std::to_string(n));
  }
  void size(const std::string& name, uint64_t n) { add("SIZE(" + name + ")", std::to_string(n)); }
  void length(const std::string& name, uint64_t n) {
    add("LENGTH(" + name + ")", std::to_string(n));
  }
  void number(const std::string& name, int64_t n) {
    add("NUMBER(" + name + ")", std::to_string(n));
  }
  template <typename T>
  void number_if(const std::string& name, const std::optional<T>& n) {
    if (n) number(name, static_cast<int64_t>(*n));
  }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const {
    return lines_;
  }
  [[nodiscard]] bool has(std::string_view key) const {
    return std::ranges::any_of(lines_, [&](const auto& line) { return line.first == key; });
  }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

void add_page_members(Lines& lines, const KernelEra& era, uint64_t struct_page_bytes) {
  lines.offset("page.flags", kFlagsAt);
  lines.offset("page._refcount", kRefcountAt);
  lines.offset("page.mapping", kMappingAt);
  lines.offset("page.lru", kCompoundHeadAt);
  lines.offset("page._mapcount", kMapcountAt);
  lines.offset("page.private", kPrivateAt);
  if (era.compound == KernelEra::Compound::kPageFields) {
    lines.offset("page.compound_dtor", kDtorAt);
    lines.offset("page.compound_order", kOrderAt);
  }
  if (era.compound == KernelEra::Compound::kFolioFields) {
    lines.offset("folio._folio_dtor", struct_page_bytes + kDtorAt);
    lines.offset("folio._folio_order", struct_page_bytes + kOrderAt);
  }
  lines.offset(era.compound_head_key, kCompoundHeadAt);
}

void add_page_numbers(Lines& lines, const KernelEra& era) {
  lines.number("PG_lru", era.lru);
  lines.number("PG_private", era.private_flag);
  lines.number("PG_swapcache", era.swapcache);
  lines.number("PG_swapbacked", era.swapbacked);
  lines.number_if("PG_slab", era.slab_flag);
  lines.number_if("PAGE_SLAB_MAPCOUNT_VALUE", era.slab);
  lines.number("PG_hwpoison", era.hwpoison);
  lines.number("PG_head_mask", int64_t{1} << era.head);
  lines.number("PAGE_BUDDY_MAPCOUNT_VALUE", era.buddy);
  lines.number_if("PAGE_HUGETLB_MAPCOUNT_VALUE", era.hugetlb);
  lines.number_if("PG_hugetlb", era.hugetlb_flag);
  if (era.compound != KernelEra::Compound::kSecondFlags)
    lines.number("HUGETLB_PAGE_DTOR", kHugetlbDtor);
  lines.number_if("PAGE_OFFLINE_MAPCOUNT_VALUE", era.offline);
  lines.number_if("PAGE_UNACCEPTED_MAPCOUNT_VALUE", era.unaccepted);
}

}  // namespace

std::string KernelBuilder::vmcoreinfo() const {
  const KernelEra& era = *spec_.era;
  Lines lines;
  lines.add("OSRELEASE", era.release);
  lines.add("BUILD-ID", "0123456789abcdef0123456789abcdef01234567");
  lines.add("PAGESIZE", "4096");
  lines.symbol("init_uts_ns", image_address(0x30000));
  lines.symbol("swapper_pg_dir", image_address(kTopTableAt));
  lines.symbol("_stext", image_address(0));
  lines.symbol("mem_section", spec_.table_by_pointer ? image_address(kSectionPointerAt)
                                                     : direct_map() + section_table_);
  uint64_t sections = uint64_t{1} << ((spec_.five_levels ? 52 : 46) - 27);
  uint64_t per_root = kPageBytes / kSectionEntryBytes;
  lines.length("mem_section", spec_.extreme ? sections / per_root : sections);
  lines.size("mem_section", kSectionEntryBytes);
  lines.offset("mem_section.section_mem_map", 0);
  if (era.exports_section_bits) {
    lines.number("SECTION_SIZE_BITS", 27);
    lines.number("MAX_PHYSMEM_BITS", spec_.five_levels ? 52 : 46);
  }
  lines.size("page", spec_.struct_page_bytes);
  add_page_members(lines, era, spec_.struct_page_bytes);
  lines.length("zone.free_area", spec_.free_area_length);
  add_page_numbers(lines, era);
  lines.number("phys_base", static_cast<int64_t>(phys_base()));
  lines.symbol("init_top_pgt", image_address(kTopTableAt));
  lines.number("pgtable_l5_enabled", spec_.five_levels ? 1 : 0);
  lines.add("KERNELOFFSET", hex(spec_.kaslr_offset));
  lines.number("KERNEL_IMAGE_SIZE", 1 << 30);
  lines.number("sme_mask", static_cast<int64_t>(spec_.sme_mask));
  lines.add("CRASHTIME", "1700000000");

  std::string text;
  for (const auto& [key, value] : lines.all()) {
    if (dropped_keys_.contains(key)) continue;
    auto changed = changed_keys_.find(key);
    text += key + "=" + (changed == changed_keys_.end() ? value : changed->second) + "\n";
  }
  for (const auto& [key, value] : changed_keys_)
    if (!lines.has(key) && !dropped_keys_.contains(key)) text += key + "=" + value + "\n";
  return text;
}

}  // namespace dw::golden
