#include "capture/codec/page_decompressor.h"

#include <zstd.h>

#include <utility>

namespace dw {

Result<PageDecompressor> PageDecompressor::create() {
  PageDecompressor decompressor;
  decompressor.context_ = ZSTD_createDCtx();
  if (decompressor.context_ == nullptr)
    return Error(ErrorKind::kNoMemory, "cannot allocate a zstd context");
  return decompressor;
}

PageDecompressor::PageDecompressor(PageDecompressor&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

PageDecompressor::~PageDecompressor() { ZSTD_freeDCtx(context_); }

Status PageDecompressor::decompress_zstd(Bytes stored, MutableBytes page) {
  size_t n = ZSTD_decompressDCtx(context_, page.data(), page.size(), stored.data(), stored.size());
  if (ZSTD_isError(n) != 0 || n != page.size())
    return Error(ErrorKind::kBadInput, "a compressed page is damaged");
  return {};
}

}  // namespace dw
