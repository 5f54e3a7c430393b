// The rules: which class a struct page stands for, at one dump level.
//
// The yardstick is makedumpfile's __exclude_unnecessary_pages(): for each page the same verdict, or
// a reason in README.md. Where the layout lacks what a rule needs, pages are kept.
// Built once, then immutable: share it between threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "filters/page_class.h"
#include "filters/page_layout.h"

namespace dw {

// Pages are judged in aligned groups of this many, which is also the unit of the dump's data.
inline constexpr size_t kChunkPages = 256;
inline constexpr unsigned kChunkOrder = 8;

// A block of pages that its first page speaks for: a free block or a compound page.
struct Block {
  enum class Kind : uint8_t { kNone, kFree, kCompound };
  Kind kind = Kind::kNone;
  uint8_t order = 0;
  PageCode code = 0;  // of every page in the block, unless it is itself poisoned
};

class PageRules {
 public:
  // `dump_level` as in makedumpfile. The order in which classes are tried depends on it only where
  // a page fits several, so a page's code says what it is, whatever the level.
  PageRules(const PageLayout& layout, unsigned dump_level);

  // False if struct pages cannot be told at all: everything is kUnknown (kNoLayout).
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] size_t struct_page_bytes() const { return page_bytes_; }
  [[nodiscard]] unsigned dump_level() const { return dump_level_; }
  // One more than the largest order of a free block; 0 if unknown.
  [[nodiscard]] unsigned free_area_length() const { return free_area_length_; }
  // Level bits of `dump_level` that leave nothing out because a key is missing.
  [[nodiscard]] unsigned undecidable_bits() const { return undecidable_bits_; }

  [[nodiscard]] bool is_dumped(PageCode code) const { return dumped_[code] != 0; }

  // The block that starts at `pfn`, if one does. `page` points at its struct page and the one
  // after it (2 * struct_page_bytes()).
  [[nodiscard]] Block block_at(const std::byte* page, uint64_t pfn) const;

  // Whether the struct page may only be explained by a compound page that starts before it: a tail,
  // or a copy of the head (vmemmap optimization maps every later page of a hugetlb page's memmap
  // to its first one: kernel commit e7d324850bfc).
  [[nodiscard]] bool is_interior(const std::byte* page, uint64_t pfn) const;

  // Whether the struct page, which may never have been set up, says that its page is poisoned. One
  // that is all ones (PAGE_POISON_PATTERN of mm/sparse.c) says nothing.
  [[nodiscard]] bool is_poisoned(const std::byte* page) const;

  // Judges the kChunkPages struct pages at `pages`, of which the first stands for `first_pfn`, a
  // multiple of kChunkPages. `cover` is the block that began earlier and holds all of them.
  void classify_chunk(const std::byte* pages, uint64_t first_pfn, const Block& cover,
                      PageCode* codes) const;

 private:
  enum Type : unsigned { kNoType, kBuddy, kSlabType, kHugetlbType, kOfflineType, kUnacceptedType };
  static constexpr unsigned kTypeCount = 6;
  // In place of a code: the page needs a closer look, in special().
  static constexpr PageCode kLook = 255;
  enum TraitBit : unsigned {
    kLru = 1,
    kPrivate = 2,
    kSwapCache = 4,
    kSwapBacked = 8,
    kSlabFlag = 16,
    kPoison = 32,
    kAnon = 64,
    kHead = 128,
  };
  // Page flags are turned into TraitBits by three table look-ups, 11 bits at a time.
  static constexpr unsigned kGatherBits = 11;
  static constexpr size_t kGatherSize = size_t{1} << kGatherBits;
  // Page types are found by a multiplication that sends each to a slot of its own.
  static constexpr unsigned kTypeSlotBits = 4;
  struct TypeSlot {
    int32_t mapcount = 0;  // of an empty slot: no type, since types are below -1
    uint32_t type = kNoType;
  };

  void find_offsets(const PageLayout& layout);
  void gather(std::optional<uint8_t> bit, unsigned trait);
  void find_undecidable(const PageLayout& layout);
  [[nodiscard]] PageCode decide(unsigned traits, unsigned type) const;
  void fill_tables();

  template <typename T>
  static T field(const std::byte* page, size_t offset);
  [[nodiscard]] unsigned traits_of(const std::byte* page) const;
  [[nodiscard]] bool is_tail(const std::byte* page) const;
  [[nodiscard]] bool place_types(uint32_t multiplier);
  void find_types();
  [[nodiscard]] unsigned type_of(int32_t mapcount) const;
  [[nodiscard]] PageCode code_for(unsigned traits, unsigned type) const {
    return codes_[type << 8 | traits];
  }
  [[nodiscard]] unsigned compound_order(const std::byte* second) const;
  [[nodiscard]] bool is_hugetlb(int32_t mapcount, const std::byte* second) const;
  [[nodiscard]] unsigned narrow(const std::byte* second, size_t offset) const;
  [[nodiscard]] Block free_block(const std::byte* page, uint64_t pfn) const;
  [[nodiscard]] Block unaccepted_block(uint64_t pfn) const;
  [[nodiscard]] Block compound(const std::byte* page, uint64_t pfn, unsigned traits,
                               unsigned type) const;
  [[nodiscard]] Block block_of(const std::byte* page, uint64_t pfn, unsigned traits,
                               unsigned type) const;
  template <size_t kBytes>
  [[nodiscard]] size_t special(const std::byte* pages, size_t at, uint64_t first_pfn,
                               PageCode* codes) const;
  template <size_t kBytes>
  void classify(const std::byte* pages, uint64_t first_pfn, PageCode* codes) const;
  template <size_t kBytes>
  void mark_poisoned(const std::byte* pages, size_t count, PageCode* codes) const;

  PageLayout layout_;
  unsigned dump_level_;
  bool usable_ = false;
  unsigned undecidable_bits_ = 0;
  unsigned free_area_length_ = 0;
  size_t page_bytes_ = 0;
  // Absent members point at the flags; no table entry then depends on what is read there.
  size_t flags_at_ = 0;
  size_t mapping_at_ = 0;
  size_t mapcount_at_ = 0;
  size_t head_at_ = 0;
  size_t private_at_ = 0;
  uint64_t anon_mask_ = 0;  // 1 if page.mapping is known
  uint64_t poison_mask_ = 0;

  uint32_t type_multiplier_ = 1;
  std::array<TypeSlot, 1 << kTypeSlotBits> type_slots_{};
  std::array<std::array<uint8_t, kGatherSize>, 3> gather_{};
  std::array<PageCode, kTypeCount * 256> codes_{};   // what a page is
  std::array<PageCode, kTypeCount * 256> single_{};  // the same, or kLook
  std::array<uint8_t, 256> dumped_{};
};

}  // namespace dw
