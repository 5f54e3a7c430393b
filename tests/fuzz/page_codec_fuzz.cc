// A page of any content, and stored pages of any bytes: what was compressed comes back, and nothing
// that is decompressed steps outside its bounds.
#include <algorithm>
#include <vector>

#include "capture/codec/page_compressor.h"
#include "capture/codec/page_decompressor.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;

constexpr size_t kPage = 4096;
using Page = std::vector<std::byte>;

struct Contexts {
  PageDecompressor decompressor = std::move(PageDecompressor::create().value());
  PageCompressor zstd = make({.compression = Compression::kZstd});
  PageCompressor fast = make({.compression = Compression::kZstd, .level = -5});
  PageCompressor zlib = make({.compression = Compression::kZlib});

  static PageCompressor make(CompressionOptions options) {
    return std::move(PageCompressor::create(options, kPage).value());
  }
};

void check_comes_back(Contexts& contexts, PageCompressor& compressor, const Page& page) {
  Page out(kPage);
  size_t size = compressor.compress(page, out);
  fuzz::require(size < kPage);
  if (size == 0) return;
  // Copies of their own, so that a sanitizer sees a step too far.
  Page stored(out.begin(), out.begin() + static_cast<ptrdiff_t>(size));
  Page back(kPage);
  fuzz::require((&compressor == &contexts.zlib
                     ? contexts.decompressor.decompress_zlib(stored, back)
                     : contexts.decompressor.decompress_zstd(stored, back))
                    .ok());
  fuzz::require(back == page);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Contexts contexts;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  // The input again and again, so that short ones make long matches.
  Page page(kPage);
  for (size_t i = 0; size != 0 && i < kPage; ++i) page[i] = bytes[i % size];
  for (PageCompressor* compressor : {&contexts.zstd, &contexts.fast, &contexts.zlib})
    check_comes_back(contexts, *compressor, page);

  Page stored(bytes, bytes + size);
  Page back(kPage);
  (void)contexts.decompressor.decompress_zstd(stored, back);
  (void)contexts.decompressor.decompress_zlib(stored, back);
  return 0;
}
