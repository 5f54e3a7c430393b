#include "capture/codec/page_compressor.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <charconv>
#include <utility>
#include <vector>

namespace dw {

namespace {

constexpr int kMinZstdLevel = -50;
constexpr int kMaxZstdLevel = 22;

Error unknown_compression(std::string_view text) {
  return Error(ErrorKind::kUsage, "no such compression")
      .on(text)
      .hint("use zstd, zstd:LEVEL with a level from -50 to 22, or none");
}

}  // namespace

Result<CompressionOptions> parse_compression(std::string_view text) {
  CompressionOptions options;
  if (text == "none") {
    options.compression = Compression::kNone;
    return options;
  }
  if (text == "zstd") return options;
  constexpr std::string_view kPrefix = "zstd:";
  if (!text.starts_with(kPrefix)) return unknown_compression(text);
  std::string_view level = text.substr(kPrefix.size());
  auto [end, error] = std::from_chars(level.data(), level.data() + level.size(), options.level);
  bool parsed = error == std::errc() && end == level.data() + level.size();
  if (!parsed || options.level < kMinZstdLevel || options.level > kMaxZstdLevel)
    return unknown_compression(text);
  return options;
}

std::string_view name_of(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kZstd:
      return "zstd";
  }
  return "unknown";
}

Result<PageCompressor> PageCompressor::create(CompressionOptions options, size_t page_size) {
  PageCompressor compressor;
  if (options.compression == Compression::kNone) return compressor;
  const Error no_memory(ErrorKind::kNoMemory, "cannot allocate a zstd context");
  compressor.context_ = ZSTD_createCCtx();
  if (compressor.context_ == nullptr) return no_memory;
  bool set = true;
  for (auto [parameter, value] :
       {std::pair{ZSTD_c_compressionLevel, options.level}, std::pair{ZSTD_c_checksumFlag, 1},
        std::pair{ZSTD_c_contentSizeFlag, 1}})
    set = set && ZSTD_isError(ZSTD_CCtx_setParameter(compressor.context_, parameter, value)) == 0;
  DW_CHECK(set);

  // The library allocates its tables for the first input; have it do so now.
  std::vector<std::byte> page(page_size);
  std::vector<std::byte> out(ZSTD_compressBound(page_size));
  if (ZSTD_isError(ZSTD_compress2(compressor.context_, out.data(), out.size(), page.data(),
                                  page.size())) != 0)
    return no_memory;
  return compressor;
}

PageCompressor::PageCompressor(PageCompressor&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

PageCompressor::~PageCompressor() { ZSTD_freeCCtx(context_); }

size_t PageCompressor::compress(Bytes page, MutableBytes out) {
  if (context_ == nullptr) return 0;
  DW_CHECK(out.size() >= page.size());
  // With one byte less than the page the library itself gives up on a page that does not shrink.
  size_t n = ZSTD_compress2(context_, out.data(), page.size() - 1, page.data(), page.size());
  return ZSTD_isError(n) != 0 ? 0 : n;
}

size_t PageCompressor::memory_bytes(CompressionOptions options, size_t page_size) {
  if (options.compression == Compression::kNone) return 0;
  ZSTD_compressionParameters parameters = ZSTD_getCParams(options.level, page_size, 0);
  return ZSTD_estimateCCtxSize_usingCParams(parameters);
}

}  // namespace dw
