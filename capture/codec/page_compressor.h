// Compresses single pages, as the kdump format wants them: each page on its own.
//
// One PageCompressor per thread; it owns the library's context, which is allocated and touched when
// it is made, so that compressing needs no memory later.
#pragma once

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"

struct ZSTD_CCtx_s;
struct libdeflate_compressor;

namespace dw {

class PageCompressor {
 public:
  // Error kUsage for lz4, which no reader of the kdump format knows; kNoMemory.
  static Result<PageCompressor> create(CompressionOptions options, size_t page_size);

  // Compresses `page` into `out` (at least as long as `page`) and returns the number of bytes, or 0
  // if it does not become smaller: then it is to be stored as it is. With zstd the bytes are one
  // frame (RFC 8878) with the content size and a checksum, with zlib one stream (RFC 1950).
  [[nodiscard]] size_t compress(Bytes page, MutableBytes out);

  // Upper bound of the memory that one context takes for pages of `page_size` bytes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions options, size_t page_size);

 private:
  PageCompressor() = default;
  static Result<PageCompressor> create_zstd(int level, size_t page_size);
  static Result<PageCompressor> create_zlib(int level);

  Buffer workspace_;  // holds whichever context there is
  ZSTD_CCtx_s* zstd_ = nullptr;
  libdeflate_compressor* zlib_ = nullptr;
};

}  // namespace dw
