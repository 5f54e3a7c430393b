// Every combination of flags, type and dump level against the order of tests written out by hand.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "filters/page_rules.h"

using namespace dw;

namespace {

constexpr int32_t kBuddy = -129;
constexpr int32_t kOfflineType = -257;
constexpr int32_t kSlabType = -4097;
constexpr int32_t kHugetlbType = -2049;
constexpr int32_t kUnacceptedType = -8193;

PageLayout layout() {
  PageLayout page;
  page.struct_page_bytes = 64;
  page.flags_offset = 0;
  page.compound_head_offset = 8;
  page.mapping_offset = 24;
  page.private_offset = 40;
  page.mapcount_offset = 48;
  page.pg_lru = 4;
  page.pg_private = 13;
  page.pg_swapcache = 10;
  page.pg_swapbacked = 19;
  page.pg_slab = 9;
  page.pg_hwpoison = 23;
  page.pg_head_mask = 1 << 16;
  page.buddy_type = kBuddy;
  page.slab_type = kSlabType;
  page.hugetlb_type = kHugetlbType;
  page.offline_type = kOfflineType;
  page.unaccepted_type = kUnacceptedType;
  page.order_in_second_flags = true;
  page.free_area_length = 11;
  return page;
}

struct Sample {
  bool lru, with_private, swap_cache, swap_backed, slab_flag, poison, anon_bit, head;
  int32_t mapcount;
};

using Pages = std::array<std::byte, 64 * kChunkPages>;

void put(Pages& pages, size_t index, size_t offset, uint64_t value, size_t width = 8) {
  std::memcpy(pages.data() + index * 64 + offset, &value, width);
}

void write_sample(Pages& pages, size_t index, const Sample& s) {
  uint64_t flags = uint64_t{s.lru} << 4 | uint64_t{s.slab_flag} << 9 |
                   uint64_t{s.swap_cache} << 10 | uint64_t{s.with_private} << 13 |
                   uint64_t{s.head} << 16 | uint64_t{s.swap_backed} << 19 |
                   uint64_t{s.poison} << 23 | uint64_t{0xabcd} << 48 | 3;
  put(pages, index, 0, flags);
  put(pages, index, 24, 0xffff888000001000 | uint64_t{s.anon_bit});
  put(pages, index, 48, static_cast<uint32_t>(s.mapcount), 4);
}

Sample sample(unsigned bits, int32_t mapcount) {
  return {.lru = (bits & 1) != 0,
          .with_private = (bits & 2) != 0,
          .swap_cache = (bits & 4) != 0,
          .swap_backed = (bits & 8) != 0,
          .slab_flag = (bits & 16) != 0,
          .poison = (bits & 32) != 0,
          .anon_bit = (bits & 64) != 0,
          .head = (bits & 128) != 0,
          .mapcount = mapcount};
}

// Whether the page is left out: makedumpfile's tests in its order. Unaccepted pages at every level
// are the one change.
bool left_out(const Sample& s, unsigned level) {
  bool slab = s.slab_flag || s.mapcount == kSlabType;
  bool anon = s.anon_bit && !slab;
  bool cache = s.lru || (s.swap_cache && s.swap_backed);
  bool hugetlb = s.head && s.mapcount == kHugetlbType;
  if ((level & 16) != 0 && s.mapcount == kBuddy && !slab) return true;
  if (s.mapcount == kUnacceptedType) return true;
  if ((level & 2) != 0 && cache && !s.with_private && !anon) return true;
  if ((level & 4) != 0 && cache && !anon) return true;
  if ((level & 8) != 0 && (anon || hugetlb)) return true;
  if (s.poison) return true;
  return s.mapcount == kOfflineType && !slab;
}

PageCode judge(const PageRules& rules, const Pages& pages, size_t index) {
  std::array<PageCode, kChunkPages> codes;
  rules.classify_chunk(pages.data(), 0, {}, codes.data());
  return codes[index];
}

}  // namespace

TEST_CASE("page_rules: single pages, every combination at every level") {
  constexpr int32_t kTypes[] = {
      -1, 0, 5, kBuddy, kOfflineType, kSlabType, kHugetlbType, kUnacceptedType, -1025};
  for (unsigned level = 0; level < 32; ++level) {
    PageRules rules(layout(), level);
    REQUIRE(rules.usable());
    REQUIRE(rules.undecidable_bits() == 0);
    for (int32_t type : kTypes)
      for (unsigned bits = 0; bits < 128; ++bits) {
        if (type == kBuddy && (bits & 64) != 0) continue;  // see README.md: free beats the rest
        if (type == kBuddy && (bits & 15) != 0) continue;
        Sample s = sample(bits, type);
        Pages pages{};
        write_sample(pages, 7, s);
        CAPTURE(level);
        CAPTURE(type);
        CAPTURE(bits);
        CHECK(rules.is_dumped(judge(rules, pages, 7)) == !left_out(s, level));
      }
  }
}

TEST_CASE("page_rules: compound pages, every combination at every level") {
  for (unsigned level = 0; level < 32; ++level) {
    PageRules rules(layout(), level);
    for (int32_t type : {-1, 0, kOfflineType, kSlabType, kHugetlbType})
      for (unsigned bits = 128; bits < 256; ++bits) {
        Sample s = sample(bits, type);
        Pages pages{};
        write_sample(pages, 8, s);
        for (size_t tail = 9; tail < 12; ++tail) put(pages, tail, 8, 0xffffea0000000201);
        put(pages, 9, 0, 2);
        CAPTURE(level);
        CAPTURE(type);
        CAPTURE(bits);
        for (size_t index = 8; index < 12; ++index)
          CHECK(rules.is_dumped(judge(rules, pages, index)) == !left_out(s, level));
        CHECK(rules.is_dumped(judge(rules, pages, 12)));
      }
  }
}

TEST_CASE("page_rules: what a level leaves out agrees with the class it names") {
  for (unsigned level = 0; level < 32; ++level) {
    PageRules rules(layout(), level);
    for (size_t code = 0; code < kPageCodeCount; ++code) {
      auto page_code = static_cast<PageCode>(code);
      CHECK(rules.is_dumped(page_code) == is_dumped(class_of(page_code), level));
    }
  }
  CHECK(is_dumped(PageClass::kCachePrivate, 2));
  CHECK_FALSE(is_dumped(PageClass::kCache, 4));
  CHECK_FALSE(is_dumped(PageClass::kHwpoison, 0));
  CHECK(is_dumped(PageClass::kUnknown, 31));
}

TEST_CASE("page_rules: a block speaks for its pages, but not past the chunk") {
  PageRules rules(layout(), 31);
  Pages pages{};
  put(pages, 192, 48, static_cast<uint32_t>(kBuddy), 4);
  put(pages, 192, 40, 6);
  CHECK(judge(rules, pages, 191) == code_of(PageClass::kOther));
  CHECK(judge(rules, pages, 255) == code_of(PageClass::kFree));
  put(pages, 0, 48, static_cast<uint32_t>(kBuddy), 4);
  put(pages, 0, 40, 10);
  CHECK(judge(rules, pages, 255) == code_of(PageClass::kFree));
  Block block = rules.block_at(pages.data(), 1024);
  CHECK(block.kind == Block::Kind::kFree);
  CHECK(block.order == 10);
  CHECK(rules.block_at(pages.data(), 512).kind == Block::Kind::kNone);
}

TEST_CASE("page_rules: a page covered by an earlier block is still poisoned on its own") {
  PageRules rules(layout(), 0);
  Pages pages{};
  write_sample(pages, 17, sample(32, -1));
  Block cover{.kind = Block::Kind::kCompound, .order = 9, .code = code_of(PageClass::kUser)};
  std::array<PageCode, kChunkPages> codes;
  rules.classify_chunk(pages.data(), 256, cover, codes.data());
  CHECK(codes[16] == code_of(PageClass::kUser));
  CHECK(codes[17] == code_of(PageClass::kHwpoison));
}

TEST_CASE("page_rules: a head in the last page of a chunk reads nothing beyond it") {
  PageRules rules(layout(), 31);
  // The heap and its exact size, for the sanitizers.
  std::vector<std::byte> exact(sizeof(Pages));
  for (int32_t type : {-1, kBuddy, kOfflineType, kUnacceptedType})
    for (unsigned slab : {0u, 16u}) {
      Pages pages{};
      write_sample(pages, 255, sample(128 | slab, type));
      put(pages, 255, 40, 77);
      std::memcpy(exact.data(), pages.data(), sizeof(Pages));
      std::array<PageCode, kChunkPages> codes;
      rules.classify_chunk(exact.data(), 0, {}, codes.data());
      PageCode expected = type == kUnacceptedType ? code_of(PageClass::kUnaccepted)
                                                  : code_of(UnknownReason::kBadOrder);
      CHECK(codes[255] == expected);
    }
}

TEST_CASE("page_rules: a layout without offsets is not usable and keeps everything") {
  for (int missing = 0; missing < 4; ++missing) {
    PageLayout page = layout();
    if (missing == 0) page.struct_page_bytes = 0;
    if (missing == 1) page.flags_offset.reset();
    if (missing == 2) page.compound_head_offset.reset();
    if (missing == 3) page.compound_head_offset = 60;
    PageRules rules(page, 31);
    CHECK_FALSE(rules.usable());
    Pages pages{};
    CHECK(judge(rules, pages, 3) == code_of(UnknownReason::kNoLayout));
  }
}
