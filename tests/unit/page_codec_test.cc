#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "capture/codec/page_compressor.h"
#include "capture/codec/page_decompressor.h"
#include "tests/unit/support/contents.h"
#include "tests/unit/support/text.h"

using namespace dw;
using test::random_bytes;
using test::text_like;

namespace {

using Page = std::vector<std::byte>;

constexpr size_t kPage = 4096;
constexpr CompressionOptions kZstd{.compression = Compression::kZstd};
constexpr CompressionOptions kZlib{.compression = Compression::kZlib};

PageCompressor compressor_of(CompressionOptions options, size_t page_size = kPage) {
  return std::move(PageCompressor::create(options, page_size).value());
}

Page compressed(const Page& page, CompressionOptions options) {
  PageCompressor compressor = compressor_of(options, page.size());
  Page out(page.size());
  out.resize(compressor.compress(page, out));
  return out;
}

Status decompress(Compression compression, Bytes stored, MutableBytes page) {
  PageDecompressor decompressor = std::move(PageDecompressor::create().value());
  return compression == Compression::kZlib ? decompressor.decompress_zlib(stored, page)
                                           : decompressor.decompress_zstd(stored, page);
}

void check_round_trip(const Page& page, CompressionOptions options) {
  CAPTURE(name_of(options.compression));
  CAPTURE(options.level);
  Page stored = compressed(page, options);
  CHECK(stored.size() > 0);
  CHECK(stored.size() < page.size());
  Page back(page.size());
  CHECK(decompress(options.compression, stored, back).ok());
  CHECK(back == page);
}

}  // namespace

TEST_CASE("page codec: a page comes back, at every level") {
  for (size_t size : {kPage, 16 * kPage}) {
    Page page = text_like(size);
    for (int level = -50; level <= 22; level += level < -5 ? 9 : 1)
      check_round_trip(page, {.compression = Compression::kZstd, .level = level});
    for (int level = 1; level <= 12; ++level)
      check_round_trip(page, {.compression = Compression::kZlib, .level = level});
  }
}

TEST_CASE("page codec: a page that does not shrink gives 0") {
  CHECK(compressed(random_bytes(kPage, 1), kZstd).empty());
  CHECK(compressed(random_bytes(kPage, 1), kZlib).empty());
}

TEST_CASE("page codec: without compression every page gives 0") {
  CHECK(compressed(text_like(kPage), {.compression = Compression::kNone}).empty());
}

TEST_CASE("page codec: lz4 is refused, and what to do instead is said") {
  Result<PageCompressor> refused =
      PageCompressor::create({.compression = Compression::kLz4}, kPage);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().kind() == ErrorKind::kUsage);
  CHECK(test::contains(test::text_of(refused), "use --compress zstd"));
}

TEST_CASE("page codec: one context after the other gives the same bytes") {
  for (CompressionOptions options : {kZstd, kZlib}) {
    PageCompressor compressor = compressor_of(options);
    Page first(kPage);
    Page second(kPage);
    size_t n = compressor.compress(text_like(kPage), first);
    (void)compressor.compress(random_bytes(kPage, 2), second);
    REQUIRE(compressor.compress(text_like(kPage), second) == n);
    CHECK(std::equal(first.begin(), first.begin() + static_cast<ptrdiff_t>(n), second.begin()));
  }
}

TEST_CASE("page codec: every flipped bit is found") {
  Page page = text_like(kPage);
  for (CompressionOptions options : {kZstd, kZlib}) {
    Page stored = compressed(page, options);
    Page back(kPage);
    unsigned unnoticed = 0;
    for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
      stored[bit / 8] ^= std::byte{1} << (bit % 8);
      // Some bits of a frame's header mean nothing to a decoder; the page must then be right.
      if (decompress(options.compression, stored, back).ok() && back != page) ++unnoticed;
      stored[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(unnoticed == 0);
  }
}

TEST_CASE("page codec: a page carries a checksum") {
  for (CompressionOptions options : {kZstd, kZlib}) {
    Page stored = compressed(text_like(kPage), options);
    REQUIRE(stored.size() > 4);
    Page back(kPage);
    stored.back() ^= std::byte{1};
    CHECK(test::text_of(decompress(options.compression, stored, back)) ==
          "a compressed page is damaged");
  }
}

TEST_CASE("page codec: exactly one page, or it is damaged") {
  for (CompressionOptions options : {kZstd, kZlib}) {
    Page stored = compressed(text_like(kPage), options);
    Page back(2 * kPage);
    auto fails = [&](Bytes bytes, size_t size) {
      return !decompress(options.compression, bytes, std::span(back).first(size)).ok();
    };
    CHECK_FALSE(fails(stored, kPage));
    CHECK(fails(stored, kPage - 1));
    CHECK(fails(stored, 2 * kPage));
    CHECK(fails(Bytes(stored).first(stored.size() - 1), kPage));
    CHECK(fails({}, kPage));
    Page twice = stored;
    twice.insert(twice.end(), stored.begin(), stored.end());
    CHECK(fails(twice, 2 * kPage));
    twice.resize(stored.size() + 1);
    CHECK(fails(twice, kPage));
  }
}

TEST_CASE("page codec: the memory of a context is small and known") {
  for (CompressionOptions options : {kZstd, kZlib}) {
    size_t bytes = PageCompressor::memory_bytes(options, kPage);
    CHECK(bytes > 0);
    CHECK(bytes < 512 << 10);
  }
  CHECK(PageCompressor::memory_bytes({.compression = Compression::kNone}, kPage) == 0);
}
