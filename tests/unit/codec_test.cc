#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "capture/codec/page_compressor.h"
#include "capture/codec/page_decompressor.h"
#include "capture/codec/zero.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;

namespace {

constexpr size_t kPage = 4096;

std::vector<std::byte> text_page() {
  std::vector<std::byte> page(kPage);
  for (size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(i % 97 * (i / 700));
  return page;
}

std::vector<std::byte> random_page(uint64_t seed) {
  std::vector<std::byte> page(kPage);
  test::VmcoreBuilder().fill_random(0, kPage, seed).read(0, page);
  return page;
}

std::vector<std::byte> compressed(const std::vector<std::byte>& page, int level = 1) {
  CompressionOptions options{.compression = Compression::kZstd, .level = level};
  PageCompressor compressor = std::move(PageCompressor::create(options, kPage).value());
  std::vector<std::byte> out(kPage);
  out.resize(compressor.compress(page, out));
  return out;
}

Status decompress(Bytes stored, MutableBytes page) {
  PageDecompressor decompressor = std::move(PageDecompressor::create().value());
  return decompressor.decompress_zstd(stored, page);
}

}  // namespace

TEST_CASE("codec: a page comes back, at every kind of level") {
  std::vector<std::byte> page = text_page();
  for (int level : {-50, -1, 1, 3, 22}) {
    CAPTURE(level);
    std::vector<std::byte> stored = compressed(page, level);
    CHECK(stored.size() < kPage);
    std::vector<std::byte> back(kPage);
    CHECK(decompress(stored, back).ok());
    CHECK(back == page);
  }
}

TEST_CASE("codec: a page that does not shrink gives 0") {
  CHECK(compressed(random_page(1)).empty());
}

TEST_CASE("codec: without compression every page gives 0") {
  PageCompressor none =
      std::move(PageCompressor::create({.compression = Compression::kNone}, kPage).value());
  std::vector<std::byte> out(kPage);
  CHECK(none.compress(text_page(), out) == 0);
}

TEST_CASE("codec: one context after the other gives the same bytes") {
  CompressionOptions options;
  PageCompressor compressor = std::move(PageCompressor::create(options, kPage).value());
  std::vector<std::byte> first(kPage);
  std::vector<std::byte> second(kPage);
  size_t n = compressor.compress(text_page(), first);
  (void)compressor.compress(random_page(2), second);
  REQUIRE(compressor.compress(text_page(), second) == n);
  CHECK(std::equal(first.begin(), first.begin() + static_cast<ptrdiff_t>(n), second.begin()));
}

TEST_CASE("codec: every flipped bit is found") {
  std::vector<std::byte> page = text_page();
  std::vector<std::byte> stored = compressed(page);
  std::vector<std::byte> back(kPage);
  unsigned unnoticed = 0;
  for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
    stored[bit / 8] ^= std::byte{1} << (bit % 8);
    // Some bits of a frame's header mean nothing to a decoder; the page must then be right.
    if (decompress(stored, back).ok() && back != page) ++unnoticed;
    stored[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  CHECK(unnoticed == 0);
}

TEST_CASE("codec: the frame carries a checksum") {
  std::vector<std::byte> stored = compressed(text_page());
  REQUIRE(stored.size() > 4);
  std::vector<std::byte> back(kPage);
  stored.back() ^= std::byte{1};
  CHECK(test::text_of(decompress(stored, back)) == "a compressed page is damaged");
}

TEST_CASE("codec: a frame of another size is damaged") {
  std::vector<std::byte> stored = compressed(text_page());
  std::vector<std::byte> back(2 * kPage);
  CHECK_FALSE(decompress(stored, std::span(back).first(kPage - 1)).ok());
  CHECK_FALSE(decompress(stored, back).ok());
  CHECK_FALSE(
      decompress(Bytes(stored).first(stored.size() - 1), std::span(back).first(kPage)).ok());
  CHECK_FALSE(decompress({}, std::span(back).first(kPage)).ok());
}

TEST_CASE("codec: names and levels") {
  CHECK(parse_compression("none")->compression == Compression::kNone);
  CHECK(parse_compression("zstd")->level == 1);
  CHECK(parse_compression("zstd:-50")->level == -50);
  CHECK(parse_compression("zstd:22")->level == 22);
  for (const char* bad : {"", "gzip", "zstd:", "zstd:23", "zstd:-51", "zstd:1x", "zstd1", "ZSTD"}) {
    CAPTURE(bad);
    Result<CompressionOptions> options = parse_compression(bad);
    REQUIRE_FALSE(options.ok());
    CHECK(options.error().kind() == ErrorKind::kUsage);
  }
}

TEST_CASE("codec: the memory of a context is bounded and grows with the level") {
  size_t one = PageCompressor::memory_bytes({.compression = Compression::kZstd, .level = 1}, kPage);
  CHECK(one > 0);
  CHECK(one < 2 << 20);
  CHECK(PageCompressor::memory_bytes({.compression = Compression::kNone}, kPage) == 0);
}

TEST_CASE("zero: one set bit anywhere is seen") {
  std::vector<std::byte> page(kPage);
  CHECK(is_zero(page));
  CHECK(is_zero({}));
  for (size_t at = 0; at < kPage; ++at) {
    page[at] = std::byte{0x80};
    CHECK_FALSE(is_zero(page));
    page[at] = std::byte{0};
  }
}

TEST_CASE("zero: bytes need not be aligned") {
  std::vector<std::byte> page(kPage + 1);
  page[0] = std::byte{1};
  CHECK(is_zero(Bytes(page).subspan(1)));
  CHECK_FALSE(is_zero(Bytes(page).first(kPage)));
}
