// Compresses single pages, as the kdump format wants them: each page on its own.
//
// One PageCompressor per thread; it owns the library's context, which is allocated and touched when
// it is made, so that compressing needs no memory later.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

struct ZSTD_CCtx_s;

namespace dw {

enum class Compression : uint8_t { kNone, kZstd };

struct CompressionOptions {
  Compression compression = Compression::kZstd;
  int level = 1;  // zstd: -50..22
};

// "none", "zstd" or "zstd:LEVEL". Error kUsage.
Result<CompressionOptions> parse_compression(std::string_view text);
[[nodiscard]] std::string_view name_of(Compression compression);

class PageCompressor {
 public:
  static Result<PageCompressor> create(CompressionOptions options, size_t page_size);
  PageCompressor(PageCompressor&& other) noexcept;
  PageCompressor& operator=(PageCompressor&&) = delete;
  PageCompressor(const PageCompressor&) = delete;
  PageCompressor& operator=(const PageCompressor&) = delete;
  ~PageCompressor();

  // Compresses `page` into `out` (at least as long as `page`) and returns the number of bytes, or 0
  // if it does not become smaller: then it is to be stored as it is. zstd frames carry the content
  // size and a checksum.
  [[nodiscard]] size_t compress(Bytes page, MutableBytes out);

  // Upper bound of the memory that one context takes for pages of `page_size` bytes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions options, size_t page_size);

 private:
  PageCompressor() = default;

  ZSTD_CCtx_s* context_ = nullptr;
};

}  // namespace dw
