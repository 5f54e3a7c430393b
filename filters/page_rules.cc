#include "filters/page_rules.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dw {

namespace {

bool aligned(uint64_t pfn, unsigned order) { return (pfn & ((uint64_t{1} << order) - 1)) == 0; }

bool fits(std::optional<uint16_t> offset, size_t width, size_t size) {
  return offset && *offset + width <= size;
}

}  // namespace

template <typename T>
T PageRules::field(const std::byte* page, size_t offset) {
  T value;
  std::memcpy(&value, page + offset, sizeof(T));
  return value;
}

PageRules::PageRules(const PageLayout& layout, unsigned dump_level)
    : layout_(layout), dump_level_(dump_level & kMaxDumpLevel) {
  for (size_t code = 0; code < kPageCodeCount; ++code)
    dumped_[code] = dw::is_dumped(class_of(static_cast<PageCode>(code)), dump_level_) ? 1 : 0;
  find_offsets(layout);
  find_undecidable(layout);
  if (!usable_) return;
  gather(layout.pg_lru, kLru);
  gather(layout.pg_private, kPrivate);
  gather(layout.pg_swapcache, kSwapCache);
  gather(layout.pg_swapbacked, kSwapBacked);
  gather(layout.pg_slab, kSlabFlag);
  gather(layout.pg_hwpoison, kPoison);
  if (layout.pg_head_mask && std::has_single_bit(*layout.pg_head_mask))
    gather(static_cast<uint8_t>(std::countr_zero(*layout.pg_head_mask)), kHead);
  fill_tables();
}

void PageRules::find_offsets(const PageLayout& layout) {
  size_t size = layout.struct_page_bytes;
  bool sane_size = size >= kMinStructPageBytes && size <= kMaxStructPageBytes;
  usable_ =
      sane_size && fits(layout.flags_offset, 8, size) && fits(layout.compound_head_offset, 8, size);
  if (!usable_) return;
  page_bytes_ = size;
  flags_at_ = *layout.flags_offset;
  head_at_ = *layout.compound_head_offset;
  if (!fits(layout.mapping_offset, 8, size)) layout_.mapping_offset.reset();
  if (!fits(layout.mapcount_offset, 4, size)) layout_.mapcount_offset.reset();
  if (!fits(layout.private_offset, 8, size)) layout_.private_offset.reset();
  if (!fits(layout.order_offset, layout.order_bytes, size)) layout_.order_offset.reset();
  if (!fits(layout.dtor_offset, layout.order_bytes, size)) layout_.dtor_offset.reset();
  mapping_at_ = layout_.mapping_offset.value_or(*layout.flags_offset);
  anon_mask_ = layout_.mapping_offset ? 1 : 0;
  mapcount_at_ = layout_.mapcount_offset.value_or(*layout.flags_offset);
  type_below_ = layout_.mapcount_offset ? -1 : INT32_MIN;
}

void PageRules::find_undecidable(const PageLayout& layout) {
  bool slab_known = layout.pg_slab || layout.slab_type;
  bool cache_known = layout.pg_lru && layout.pg_swapcache && layout.pg_swapbacked && anon_mask_;
  bool head_known = layout.pg_head_mask && (layout_.order_offset || layout.order_in_second_flags);
  bool hugetlb_known =
      layout.hugetlb_type || layout.pg_hugetlb || (layout.hugetlb_dtor && layout_.dtor_offset);
  bool free_known = layout.buddy_type && layout_.mapcount_offset && layout_.private_offset &&
                    layout.free_area_length;
  unsigned unknown = 0;
  if (!cache_known || !head_known) unknown |= kLeaveOutCache | kLeaveOutCachePrivate;
  if (!layout.pg_private) unknown |= kLeaveOutCache;
  if (!anon_mask_ || !slab_known || !head_known || !hugetlb_known) unknown |= kLeaveOutUser;
  if (!free_known) unknown |= kLeaveOutFree;
  if (!usable_) unknown = kLeaveOutCache | kLeaveOutCachePrivate | kLeaveOutUser | kLeaveOutFree;
  undecidable_bits_ = unknown & dump_level_;
  if (usable_ && free_known) free_area_length_ = *layout.free_area_length;
}

// Makes gather_ turn page flag `bit` into `trait`.
void PageRules::gather(std::optional<uint8_t> bit, unsigned trait) {
  if (!bit || *bit > kMaxFlagBit) return;
  std::array<uint8_t, kGatherSize>& table = gather_[*bit / kGatherBits];
  for (size_t i = 0; i < kGatherSize; ++i)
    if ((i >> (*bit % kGatherBits) & 1) != 0) table[i] |= static_cast<uint8_t>(trait);
  if (trait == kPoison) poison_mask_ = uint64_t{1} << *bit;
}

// The tests in makedumpfile's order, with two changes that alter no verdict but make the numbers
// tell more: what is never read comes first, and kept pages get a name too.
PageCode PageRules::decide(unsigned traits, unsigned type) const {
  bool slab = (traits & kSlabFlag) != 0 || type == kSlabType;
  bool anon = (traits & kAnon) != 0 && !slab;
  bool slab_known = layout_.pg_slab || layout_.slab_type;
  bool hugetlb = type == kHugetlbType;
  bool user = (anon && slab_known) || hugetlb;
  bool swap_cache = (traits & kSwapCache) != 0 && (traits & kSwapBacked) != 0;
  bool cache = ((traits & kLru) != 0 || swap_cache) && anon_mask_ != 0 && !anon;
  bool without_private = layout_.pg_private && (traits & kPrivate) == 0;
  PageClass cache_class = without_private ? PageClass::kCache : PageClass::kCachePrivate;
  PageClass user_class = hugetlb ? PageClass::kHugetlb : PageClass::kUser;

  if (type == kUnacceptedType) return code_of(PageClass::kUnaccepted);
  if ((traits & kPoison) != 0) return code_of(PageClass::kHwpoison);
  if (type == kOfflineType && !slab) return code_of(PageClass::kOffline);
  if (cache && !dw::is_dumped(cache_class, dump_level_)) return code_of(cache_class);
  if (user && !dw::is_dumped(user_class, dump_level_)) return code_of(user_class);
  if (cache) return code_of(cache_class);
  if (user) return code_of(user_class);
  if (slab) return code_of(PageClass::kSlab);
  if (undecidable_bits_ != 0) return code_of(UnknownReason::kMissingKey);
  return code_of(PageClass::kOther);
}

void PageRules::fill_tables() {
  for (unsigned type = 0; type < kTypeCount; ++type)
    for (unsigned traits = 0; traits < 256; ++traits)
      codes_[type << 8 | traits] = decide(traits, type);
}

unsigned PageRules::traits_of(const std::byte* page) const {
  auto flags = field<uint64_t>(page, flags_at_);
  unsigned traits = gather_[0][flags & (kGatherSize - 1)] |
                    gather_[1][flags >> kGatherBits & (kGatherSize - 1)] |
                    gather_[2][flags >> 2 * kGatherBits & (kGatherSize / 2 - 1)];
  return traits | static_cast<unsigned>(field<uint64_t>(page, mapping_at_) & anon_mask_) * kAnon;
}

bool PageRules::is_tail(const std::byte* page) const {
  return (field<uint8_t>(page, head_at_) & 1) != 0;
}

PageRules::Type PageRules::type_of(int32_t mapcount) const {
  if (mapcount >= type_below_) return kNoType;
  if (layout_.buddy_type == mapcount && free_area_length_ != 0) return kBuddy;
  if (layout_.slab_type == mapcount) return kSlabType;
  if (layout_.offline_type == mapcount) return kOfflineType;
  if (layout_.unaccepted_type == mapcount) return kUnacceptedType;
  return kNoType;  // hugetlb counts on a head only, as page tables and others it is the kernel's
}

// A free block has its order in page.private, an unaccepted one is of the largest order (kernel
// commit dcdfdd40fa82).
Block PageRules::free_block(const std::byte* page, uint64_t pfn, unsigned traits) const {
  int32_t mapcount = field<int32_t>(page, mapcount_at_);
  Type type = type_of(mapcount);
  bool slab = (traits & kSlabFlag) != 0;
  uint64_t order = ~uint64_t{0};
  PageClass page_class = PageClass::kFree;
  if (type == kBuddy && !slab) order = field<uint64_t>(page, *layout_.private_offset);
  if (type == kUnacceptedType) {
    page_class = PageClass::kUnaccepted;
    order = free_area_length_ != 0 ? free_area_length_ - 1 : 0;
    if (!aligned(pfn, static_cast<unsigned>(order))) order = 0;
  }
  bool sane = order < free_area_length_ || (order == 0 && type == kUnacceptedType);
  if (!sane || !aligned(pfn, static_cast<unsigned>(order))) return {};
  return {.kind = Block::Kind::kFree,
          .order = static_cast<uint8_t>(order),
          .code = code_of(page_class)};
}

unsigned PageRules::narrow(const std::byte* second, size_t offset) const {
  switch (layout_.order_bytes) {
    case 1:
      return field<uint8_t>(second, offset);
    case 2:
      return field<uint16_t>(second, offset);
    default:
      return field<uint32_t>(second, offset);
  }
}

unsigned PageRules::compound_order(const std::byte* second) const {
  if (layout_.order_in_second_flags) return field<uint8_t>(second, flags_at_);
  return layout_.order_offset ? narrow(second, *layout_.order_offset) : 0;
}

bool PageRules::is_hugetlb(int32_t mapcount, const std::byte* second) const {
  if (layout_.hugetlb_type) return mapcount == *layout_.hugetlb_type && mapcount < type_below_;
  if (layout_.pg_hugetlb)
    return (field<uint64_t>(second, flags_at_) >> *layout_.pg_hugetlb & 1) != 0;
  return layout_.hugetlb_dtor && layout_.dtor_offset &&
         narrow(second, *layout_.dtor_offset) == *layout_.hugetlb_dtor;
}

Block PageRules::compound(const std::byte* page, uint64_t pfn, unsigned traits) const {
  const std::byte* second = page + page_bytes_;
  unsigned order = compound_order(second);
  if (order == 0 || order > kMaxCompoundOrder || !aligned(pfn, order)) return {};
  auto mapcount = field<int32_t>(page, mapcount_at_);
  Type type = is_hugetlb(mapcount, second) ? kHugetlbType : type_of(mapcount);
  return {.kind = Block::Kind::kCompound,
          .order = static_cast<uint8_t>(order),
          .code = code_for(traits, type)};
}

Block PageRules::block_at(const std::byte* page, uint64_t pfn) const {
  unsigned traits = traits_of(page);
  if (is_tail(page)) return {};
  Block block = free_block(page, pfn, traits);
  if (block.kind == Block::Kind::kNone && (traits & kHead) != 0)
    block = compound(page, pfn, traits);
  return block;
}

bool PageRules::is_interior(const std::byte* page, uint64_t pfn) const {
  if (is_tail(page)) return true;
  if ((traits_of(page) & kHead) == 0) return false;
  return block_at(page, pfn).kind == Block::Kind::kNone;
}

bool PageRules::is_poisoned(const std::byte* page) const {
  auto flags = field<uint64_t>(page, flags_at_);
  return flags != ~uint64_t{0} && (flags & poison_mask_) != 0;
}

void PageRules::mark_poisoned(const std::byte* pages, size_t from, size_t to,
                              PageCode* codes) const {
  if (poison_mask_ == 0) return;
  for (size_t i = from; i < to; ++i)
    if ((field<uint64_t>(pages + i * page_bytes_, flags_at_) & poison_mask_) != 0)
      codes[i] = code_of(PageClass::kHwpoison);
}

// Judges a page that is not just itself, or has a type. Returns the number of pages judged.
size_t PageRules::special(const std::byte* pages, size_t at, uint64_t first_pfn,
                          PageCode* codes) const {
  const std::byte* page = pages + at * page_bytes_;
  unsigned traits = traits_of(page);
  bool poisoned = (traits & kPoison) != 0;
  if (is_tail(page)) {
    codes[at] = poisoned ? code_of(PageClass::kHwpoison) : code_of(UnknownReason::kTailWithoutHead);
    return 1;
  }
  uint64_t pfn = first_pfn + at;
  Type type = type_of(field<int32_t>(page, mapcount_at_));
  bool head = (traits & kHead) != 0;
  Block block = free_block(page, pfn, traits);
  // An odd page frame cannot start a compound page, so there is a struct page after this one.
  if (block.kind == Block::Kind::kNone && head && at + 1 < kChunkPages)
    block = compound(page, pfn, traits);
  if (block.kind == Block::Kind::kNone) {
    bool bad_order = head || (type == kBuddy && (traits & kSlabFlag) == 0);
    codes[at] = bad_order && !poisoned ? code_of(UnknownReason::kBadOrder) : code_for(traits, type);
    return 1;
  }
  size_t count = std::min(kChunkPages - at, size_t{1} << block.order);
  std::memset(codes + at, block.code, count);
  mark_poisoned(pages, at, at + count, codes);
  return count;
}

template <size_t kBytes>
void PageRules::classify(const std::byte* pages, uint64_t first_pfn, PageCode* codes) const {
  const size_t bytes = kBytes != 0 ? kBytes : page_bytes_;
  for (size_t i = 0; i < kChunkPages;) {
    const std::byte* page = pages + i * bytes;
    unsigned traits = traits_of(page);
    auto mapcount = field<int32_t>(page, mapcount_at_);
    bool is_special = is_tail(page) | ((traits & kHead) != 0) | (mapcount < type_below_);
    if (!is_special) {
      codes[i++] = codes_[traits];
      continue;
    }
    i += special(pages, i, first_pfn, codes);
  }
}

void PageRules::classify_chunk(const std::byte* pages, uint64_t first_pfn, const Block& cover,
                               PageCode* codes) const {
  if (!usable_) {
    std::memset(codes, code_of(UnknownReason::kNoLayout), kChunkPages);
    return;
  }
  if (cover.kind != Block::Kind::kNone) {
    std::memset(codes, cover.code, kChunkPages);
    mark_poisoned(pages, 0, kChunkPages, codes);
    return;
  }
  if (page_bytes_ == 64)
    classify<64>(pages, first_pfn, codes);
  else
    classify<0>(pages, first_pfn, codes);
}

}  // namespace dw
