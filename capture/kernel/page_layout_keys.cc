// struct page from VMCOREINFO.
#include <bit>
#include <limits>

#include "capture/base/checked.h"
#include "capture/kernel/layout.h"

namespace dw {

namespace {

using Gaps = std::vector<LayoutGap>;

constexpr const char* kKeepsEverything = "no page can be classified: all but zero pages are kept";
constexpr const char* kKeepsCacheAndUser = "cache and user pages are kept";
constexpr const char* kKeepsCache = "cache pages may be kept";
constexpr const char* kKeepsUser = "user pages are kept";
constexpr const char* kKeepsHugetlb = "hugetlb pages are kept";
constexpr const char* kKeepsCompound = "compound pages are kept";
constexpr const char* kKeepsFree = "free pages are kept";

class Keys {
 public:
  Keys(const Vmcoreinfo& info, Gaps& gaps) : info_(info), gaps_(gaps) {}

  void gap(const char* key, const char* consequence) { gaps_.push_back({key, consequence}); }

  // OFFSET(name), if a member of `width` bytes fits there into struct page.
  std::optional<uint16_t> offset(const char* name, uint64_t width) {
    std::optional<uint64_t> value = info_.offset(name);
    if (!value || !range_fits(*value, width, kMaxStructPageBytes)) return std::nullopt;
    return static_cast<uint16_t>(*value);
  }

  std::optional<uint8_t> flag_bit(const char* name) {
    std::optional<int64_t> value = info_.number(name);
    if (!value || *value < 0 || *value > int64_t{kMaxFlagBit}) return std::nullopt;
    return static_cast<uint8_t>(*value);
  }

  // A page type as the kernel prints it with %ld: sign extended or not.
  std::optional<int32_t> page_type(const char* name) {
    std::optional<int64_t> value = info_.number(name);
    if (!value || *value < std::numeric_limits<int32_t>::min() ||
        *value > int64_t{std::numeric_limits<uint32_t>::max()})
      return std::nullopt;
    auto type = static_cast<int32_t>(*value);
    if (type >= -1) return std::nullopt;
    return type;
  }

 private:
  const Vmcoreinfo& info_;
  Gaps& gaps_;
};

void find_members(Keys& keys, PageLayout& page) {
  page.flags_offset = keys.offset("page.flags", 8);
  page.mapping_offset = keys.offset("page.mapping", 8);
  page.mapcount_offset = keys.offset("page._mapcount", 4);
  page.private_offset = keys.offset("page.private", 8);
  // Renamed in 7.1: kernel commit d50569612c29.
  page.compound_head_offset = keys.offset("page.compound_info", 8);
  if (!page.compound_head_offset) page.compound_head_offset = keys.offset("page.compound_head", 8);
  if (!page.flags_offset) keys.gap("OFFSET(page.flags)", kKeepsEverything);
  if (!page.compound_head_offset)
    keys.gap("OFFSET(page.compound_info) or OFFSET(page.compound_head)", kKeepsEverything);
  if (!page.mapping_offset) keys.gap("OFFSET(page.mapping)", kKeepsCacheAndUser);
  if (!page.mapcount_offset) keys.gap("OFFSET(page._mapcount)", kKeepsFree);
  if (!page.private_offset) keys.gap("OFFSET(page.private)", kKeepsFree);
}

void find_flags(Keys& keys, const Vmcoreinfo& info, PageLayout& page) {
  page.pg_lru = keys.flag_bit("PG_lru");
  page.pg_private = keys.flag_bit("PG_private");
  page.pg_swapcache = keys.flag_bit("PG_swapcache");
  page.pg_swapbacked = keys.flag_bit("PG_swapbacked");
  page.pg_slab = keys.flag_bit("PG_slab");
  page.pg_hwpoison = keys.flag_bit("PG_hwpoison");
  std::optional<int64_t> head = info.number("PG_head_mask");
  if (head && *head > 0 && *head <= int64_t{1} << kMaxFlagBit &&
      std::has_single_bit(static_cast<uint64_t>(*head)))
    page.pg_head_mask = static_cast<uint64_t>(*head);
  if (!page.pg_lru) keys.gap("NUMBER(PG_lru)", kKeepsCache);
  if (!page.pg_private)
    keys.gap("NUMBER(PG_private)", "all cache pages count as having private data");
  if (!page.pg_swapcache || !page.pg_swapbacked)
    keys.gap("NUMBER(PG_swapcache), NUMBER(PG_swapbacked)", kKeepsCache);
  if (!page.pg_head_mask) keys.gap("NUMBER(PG_head_mask)", kKeepsCompound);
}

void find_types(Keys& keys, PageLayout& page) {
  page.buddy_type = keys.page_type("PAGE_BUDDY_MAPCOUNT_VALUE");
  page.slab_type = keys.page_type("PAGE_SLAB_MAPCOUNT_VALUE");
  page.hugetlb_type = keys.page_type("PAGE_HUGETLB_MAPCOUNT_VALUE");
  page.offline_type = keys.page_type("PAGE_OFFLINE_MAPCOUNT_VALUE");
  page.unaccepted_type = keys.page_type("PAGE_UNACCEPTED_MAPCOUNT_VALUE");
  if (!page.buddy_type) keys.gap("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", kKeepsFree);
  if (!page.slab_type && !page.pg_slab)
    keys.gap("NUMBER(PG_slab) or NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", kKeepsUser);
  if (!page.offline_type)
    keys.gap("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", "offline pages cannot be told from others");
}

// Before 6.6. The fields stood in the second struct page, and in 6.3 to 6.5 in struct folio, whose
// second part it is (kernel commit 1c5509be58f6). Both have one width, which is their distance:
// they follow each other.
void find_compound_fields(Keys& keys, const Vmcoreinfo& info, PageLayout& page) {
  std::optional<uint64_t> order = info.offset("folio._folio_order");
  std::optional<uint64_t> dtor = info.offset("folio._folio_dtor");
  uint64_t before = order ? page.struct_page_bytes : 0;
  if (!order) {
    order = info.offset("page.compound_order");
    dtor = info.offset("page.compound_dtor");
  }
  if (order && (*order < before || !range_fits(*order - before, 4, kMaxStructPageBytes)))
    order.reset();
  if (order) page.order_offset = static_cast<uint16_t>(*order - before);
  if (!order || !dtor || *dtor < before || *dtor >= *order) {
    keys.gap(order ? "OFFSET(page.compound_dtor)" : "OFFSET(page.compound_order)",
             order ? kKeepsHugetlb : kKeepsCompound);
    return;
  }
  uint64_t width = *order - *dtor;
  if (width != 1 && width != 2 && width != 4) {
    keys.gap("OFFSET(page.compound_dtor)", kKeepsHugetlb);
    return;
  }
  page.dtor_offset = static_cast<uint16_t>(*dtor - before);
  page.order_bytes = static_cast<uint8_t>(width);
}

void find_compound(Keys& keys, const Vmcoreinfo& info, PageLayout& page) {
  page.pg_hugetlb = keys.flag_bit("PG_hugetlb");
  page.order_in_second_flags = page.hugetlb_type || page.pg_hugetlb;
  if (page.order_in_second_flags) return;
  find_compound_fields(keys, info, page);
  std::optional<int64_t> dtor = info.number("HUGETLB_PAGE_DTOR");
  if (dtor && *dtor > 0 && *dtor < 256) page.hugetlb_dtor = static_cast<uint32_t>(*dtor);
  if (!page.hugetlb_dtor)
    keys.gap(
        "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE), NUMBER(PG_hugetlb) or "
        "NUMBER(HUGETLB_PAGE_DTOR)",
        kKeepsHugetlb);
}

}  // namespace

PageLayout find_page_layout(const Vmcoreinfo& info, std::vector<LayoutGap>& gaps) {
  Keys keys(info, gaps);
  PageLayout page;
  std::optional<uint64_t> size = info.size("page");
  if (!size || *size < kMinStructPageBytes || *size > kMaxStructPageBytes || *size % 8 != 0) {
    keys.gap("SIZE(page)", kKeepsEverything);
    return page;
  }
  page.struct_page_bytes = static_cast<uint16_t>(*size);
  find_members(keys, page);
  if (!page.flags_offset || !page.compound_head_offset) {
    page.struct_page_bytes = 0;
    return page;
  }
  find_flags(keys, info, page);
  find_types(keys, page);
  find_compound(keys, info, page);
  std::optional<uint64_t> length = info.length("zone.free_area");
  if (length && *length > 0 && *length <= kMaxCompoundOrder + 1)
    page.free_area_length = static_cast<uint8_t>(*length);
  else
    keys.gap("LENGTH(zone.free_area)", kKeepsFree);
  return page;
}

}  // namespace dw
