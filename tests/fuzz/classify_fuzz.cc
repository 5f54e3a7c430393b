// Struct pages of any content, under layouts of any content. The input is: dump level, which keys
// are known (2 bytes), offsets and bits (24 bytes), struct pages.
//
// A page is read and kept only if no rule forbids it, and the answer is the same twice and for each
// way to get it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "filters/page_rules.h"

namespace {

constexpr size_t kHeaderBytes = 27;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
void maybe(std::optional<T>& out, bool present, T value) {
  if (present) out = value;
}

dw::PageLayout layout_from(const uint8_t* d) {
  dw::PageLayout page;
  unsigned known = d[0] | d[1] << 8;
  const uint8_t* v = d + 2;
  page.struct_page_bytes = static_cast<uint16_t>((known & 1) != 0 ? 64 : v[0]);
  page.flags_offset = v[1];
  page.compound_head_offset = v[2];
  maybe<uint16_t>(page.mapping_offset, known & 2, v[3]);
  maybe<uint16_t>(page.mapcount_offset, known & 4, v[4]);
  maybe<uint16_t>(page.private_offset, known & 8, v[5]);
  maybe<uint8_t>(page.pg_lru, known & 16, v[6]);
  maybe<uint8_t>(page.pg_private, known & 16, v[7]);
  maybe<uint8_t>(page.pg_swapcache, known & 32, v[8]);
  maybe<uint8_t>(page.pg_swapbacked, known & 32, v[9]);
  maybe<uint8_t>(page.pg_slab, known & 64, v[10]);
  maybe<uint8_t>(page.pg_hwpoison, known & 128, v[11]);
  maybe<uint64_t>(page.pg_head_mask, known & 256, uint64_t{1} << (v[12] & 63));
  maybe<int32_t>(page.buddy_type, known & 512, -int32_t{v[13]} - 2);
  maybe<int32_t>(page.slab_type, known & 1024, -int32_t{v[14]} - 2);
  maybe<int32_t>(page.hugetlb_type, known & 2048, -int32_t{v[15]} - 2);
  maybe<int32_t>(page.offline_type, known & 4096, -int32_t{v[16]} - 2);
  maybe<int32_t>(page.unaccepted_type, known & 8192, -int32_t{v[17]} - 2);
  page.order_in_second_flags = (v[18] & 1) != 0;
  maybe<uint8_t>(page.pg_hugetlb, v[18] & 2, v[19] & 63);
  maybe<uint16_t>(page.order_offset, v[18] & 4, v[20]);
  maybe<uint16_t>(page.dtor_offset, v[18] & 8, v[21]);
  page.order_bytes = static_cast<uint8_t>(1 << (v[18] >> 4 & 3) & 7);
  if (page.order_bytes == 0) page.order_bytes = 1;
  maybe<uint32_t>(page.hugetlb_dtor, v[18] & 64, 2);
  maybe<uint8_t>(page.free_area_length, known & 16384, static_cast<uint8_t>(1 + v[22] % 19));
  return page;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kHeaderBytes) return 0;
  unsigned level = data[0] & 31;
  dw::PageRules rules(layout_from(data + 1), level);
  if (!rules.usable()) return 0;
  size_t bytes = rules.struct_page_bytes();
  // On the heap and of the exact size, so that reading past the end shows.
  std::vector<std::byte> pages(dw::kChunkPages * bytes);
  size_t n = size - kHeaderBytes;
  for (size_t at = 0; n != 0 && at < pages.size(); at += n)
    std::memcpy(pages.data() + at, data + kHeaderBytes, std::min(n, pages.size() - at));

  uint64_t pfn = uint64_t{data[26]} * dw::kChunkPages;
  std::array<dw::PageCode, dw::kChunkPages> codes, again;
  rules.classify_chunk(pages.data(), pfn, {}, codes.data());
  rules.classify_chunk(pages.data(), pfn, {}, again.data());
  require(codes == again);
  for (dw::PageCode code : codes) {
    require(code < dw::kPageCodeCount);
    require(rules.is_dumped(code) == dw::is_dumped(dw::class_of(code), level));
  }
  dw::Block block = rules.block_at(pages.data(), pfn);
  if (block.kind != dw::Block::Kind::kNone) {
    require(block.order <= dw::kMaxCompoundOrder);
    require((pfn & ((uint64_t{1} << block.order) - 1)) == 0);
    require(!rules.is_interior(pages.data(), pfn));
    rules.classify_chunk(pages.data(), pfn, block, again.data());
    size_t inside = std::min(dw::kChunkPages, size_t{1} << block.order);
    require(std::equal(again.begin(), again.begin() + inside, codes.begin()));
  }
  return 0;
}
