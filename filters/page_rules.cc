#include "filters/page_rules.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

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
  if (layout_.mapcount_offset) find_types();
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
  private_at_ = layout_.private_offset.value_or(*layout.flags_offset);
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

  // Unaccepted pages are blocks: unaccepted_block() names them.
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
    for (unsigned traits = 0; traits < 256; ++traits) {
      bool free = type == kBuddy && (traits & kSlabFlag) == 0;
      PageCode code = decide(traits, type);
      if (free && (traits & kPoison) == 0) code = code_of(PageClass::kFree);
      bool block = type == kUnacceptedType || (!free && (traits & kHead) != 0);
      codes_[type << 8 | traits] = code;
      single_[type << 8 | traits] = block ? kLook : code;
    }
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

bool PageRules::place_types(uint32_t multiplier) {
  type_multiplier_ = multiplier;
  type_slots_.fill({});
  // hugetlb is absent: it counts on the head of a compound page only.
  const std::pair<std::optional<int32_t>, Type> kTypes[] = {
      {free_area_length_ != 0 ? layout_.buddy_type : std::nullopt, kBuddy},
      {layout_.slab_type, kSlabType},
      {layout_.offline_type, kOfflineType},
      {layout_.unaccepted_type, kUnacceptedType}};
  for (const auto& [mapcount, type] : kTypes) {
    if (!mapcount || *mapcount >= -1) continue;
    TypeSlot& slot =
        type_slots_[static_cast<uint32_t>(*mapcount) * multiplier >> (32 - kTypeSlotBits)];
    if (slot.type != kNoType && slot.mapcount != *mapcount) return false;
    if (slot.type == kNoType) slot = {.mapcount = *mapcount, .type = type};
  }
  return true;
}

void PageRules::find_types() {
  // Two multipliers in three send four values to slots of their own.
  uint32_t multiplier = 0x9e3779b1;
  for (unsigned attempt = 0; attempt < 1000; ++attempt, multiplier += 0x61c88646)
    if (place_types(multiplier)) return;
  type_slots_.fill({});  // no page has a type then: free pages are kept
  free_area_length_ = 0;
}

unsigned PageRules::type_of(int32_t mapcount) const {
  const TypeSlot& slot =
      type_slots_[static_cast<uint32_t>(mapcount) * type_multiplier_ >> (32 - kTypeSlotBits)];
  return slot.mapcount == mapcount ? slot.type : kNoType;
}

Block PageRules::free_block(const std::byte* page, uint64_t pfn) const {
  auto order = field<uint64_t>(page, private_at_);
  if (order >= free_area_length_ || !aligned(pfn, static_cast<unsigned>(order))) return {};
  return {.kind = Block::Kind::kFree,
          .order = static_cast<uint8_t>(order),
          .code = code_of(PageClass::kFree)};
}

// Unaccepted blocks are of the largest order: kernel commit dcdfdd40fa82.
Block PageRules::unaccepted_block(uint64_t pfn) const {
  unsigned order = free_area_length_ != 0 ? free_area_length_ - 1 : 0;
  if (!aligned(pfn, order)) order = 0;
  return {.kind = Block::Kind::kFree,
          .order = static_cast<uint8_t>(order),
          .code = code_of(PageClass::kUnaccepted)};
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
  if (layout_.hugetlb_type) return layout_.mapcount_offset && mapcount == *layout_.hugetlb_type;
  if (layout_.pg_hugetlb)
    return (field<uint64_t>(second, flags_at_) >> *layout_.pg_hugetlb & 1) != 0;
  return layout_.hugetlb_dtor && layout_.dtor_offset &&
         narrow(second, *layout_.dtor_offset) == *layout_.hugetlb_dtor;
}

Block PageRules::compound(const std::byte* page, uint64_t pfn, unsigned traits,
                          unsigned type) const {
  // An odd page frame cannot begin a compound page: so the struct page after a head, the last one
  // of a chunk being odd, always lies in the same chunk.
  if (pfn % 2 != 0) return {};
  const std::byte* second = page + page_bytes_;
  unsigned order = compound_order(second);
  if (order == 0 || order > kMaxCompoundOrder || !aligned(pfn, order)) return {};
  if (is_hugetlb(field<int32_t>(page, mapcount_at_), second)) type = kHugetlbType;
  return {.kind = Block::Kind::kCompound,
          .order = static_cast<uint8_t>(order),
          .code = code_for(traits, type)};
}

// `page` is not a tail.
Block PageRules::block_of(const std::byte* page, uint64_t pfn, unsigned traits,
                          unsigned type) const {
  if (type == kBuddy && (traits & kSlabFlag) == 0) return free_block(page, pfn);
  if (type == kUnacceptedType) return unaccepted_block(pfn);
  return (traits & kHead) != 0 ? compound(page, pfn, traits, type) : Block{};
}

Block PageRules::block_at(const std::byte* page, uint64_t pfn) const {
  if (is_tail(page)) return {};
  return block_of(page, pfn, traits_of(page), type_of(field<int32_t>(page, mapcount_at_)));
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

template <size_t kBytes>
void PageRules::mark_poisoned(const std::byte* pages, size_t count, PageCode* codes) const {
  const size_t bytes = kBytes != 0 ? kBytes : page_bytes_;
  uint64_t any = 0;
  for (size_t i = 0; i < count; ++i) any |= field<uint64_t>(pages + i * bytes, flags_at_);
  if ((any & poison_mask_) == 0) return;
  for (size_t i = 0; i < count; ++i)
    if ((field<uint64_t>(pages + i * bytes, flags_at_) & poison_mask_) != 0)
      codes[i] = code_of(PageClass::kHwpoison);
}

// Judges a page that is not just itself. Returns the number of pages judged.
template <size_t kBytes>
size_t PageRules::special(const std::byte* pages, size_t at, uint64_t first_pfn,
                          PageCode* codes) const {
  const std::byte* page = pages + at * page_bytes_;
  unsigned traits = traits_of(page);
  bool poisoned = (traits & kPoison) != 0;
  if (is_tail(page)) {
    codes[at] = poisoned ? code_of(PageClass::kHwpoison) : code_of(UnknownReason::kTailWithoutHead);
    return 1;
  }
  unsigned type = type_of(field<int32_t>(page, mapcount_at_));
  Block block = block_of(page, first_pfn + at, traits, type);
  if (block.kind == Block::Kind::kNone) {
    codes[at] = poisoned ? code_of(PageClass::kHwpoison) : code_of(UnknownReason::kBadOrder);
    return 1;
  }
  size_t count = std::min(kChunkPages - at, size_t{1} << block.order);
  std::memset(codes + at, block.code, count);
  mark_poisoned<kBytes>(page, count, codes + at);
  return count;
}

template <size_t kBytes>
void PageRules::classify(const std::byte* pages, uint64_t first_pfn, PageCode* codes) const {
  const size_t bytes = kBytes != 0 ? kBytes : page_bytes_;
  for (size_t i = 0; i < kChunkPages;) {
    const std::byte* page = pages + i * bytes;
    unsigned type = type_of(field<int32_t>(page, mapcount_at_));
    PageCode code = single_[type << 8 | traits_of(page)];
    bool large = (type == kBuddy) & (field<uint64_t>(page, private_at_) != 0);
    if ((code == kLook) | large | is_tail(page)) {
      i += special<kBytes>(pages, i, first_pfn, codes);
      continue;
    }
    codes[i++] = code;
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
    if (page_bytes_ == 64)
      mark_poisoned<64>(pages, kChunkPages, codes);
    else
      mark_poisoned<0>(pages, kChunkPages, codes);
    return;
  }
  if (page_bytes_ == 64)
    classify<64>(pages, first_pfn, codes);
  else
    classify<0>(pages, first_pfn, codes);
}

}  // namespace dw
