#include "capture/codec/page_compressor.h"

#include <utility>

#include "capture/codec/randomness.h"
#include "capture/codec/zlib_context.h"
#include "capture/codec/zstd_context.h"

namespace dw {

Result<PageCompressor> PageCompressor::create(CompressionOptions options, size_t page_size) {
  switch (options.compression) {
    case Compression::kNone:
      return PageCompressor();
    case Compression::kZstd:
      return create_zstd(options.level, page_size);
    case Compression::kZlib:
      return create_zlib(options.level);
    case Compression::kLz4:
      break;
  }
  return Error(ErrorKind::kUsage, "lz4 is not possible in the kdump format")
      .hint("use --compress zstd, or --format stream");
}

Result<PageCompressor> PageCompressor::create_zstd(int level, size_t page_size) {
  PageCompressor compressor;
  DW_ASSIGN(compressor.zstd_,
            make_zstd_context(zstd_level_settings(level, page_size), compressor.workspace_));
  return compressor;
}

Result<PageCompressor> PageCompressor::create_zlib(int level) {
  PageCompressor compressor;
  DW_ASSIGN(compressor.zlib_, make_zlib_context(level, compressor.workspace_));
  return compressor;
}

size_t PageCompressor::compress(Bytes page, MutableBytes out) {
  DW_CHECK(out.size() >= page.size());
  if (workspace_.size() == 0 || looks_random(page)) return 0;
  // With one byte less than the page the libraries themselves give up on one that does not shrink.
  size_t limit = page.size() - 1;
  if (zlib_ != nullptr)
    return libdeflate_zlib_compress(zlib_, page.data(), page.size(), out.data(), limit);
  size_t n = ZSTD_compress2(zstd_, out.data(), limit, page.data(), page.size());
  return ZSTD_isError(n) != 0 ? 0 : n;
}

size_t PageCompressor::memory_bytes(CompressionOptions options, size_t page_size) {
  if (options.compression == Compression::kZlib) return zlib_context_bytes(options.level);
  if (options.compression != Compression::kZstd) return 0;
  return zstd_context_bytes(zstd_level_settings(options.level, page_size));
}

}  // namespace dw
