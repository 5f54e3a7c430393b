#include "capture/codec/page_decompressor.h"

#include "capture/codec/zlib_context.h"
#include "capture/codec/zstd_context.h"
#include "capture/codec/zstd_frame.h"

namespace dw {

namespace {

Error damaged() { return {ErrorKind::kBadInput, "a compressed page is damaged"}; }

}  // namespace

Result<PageDecompressor> PageDecompressor::create() {
  PageDecompressor made;
  DW_ASSIGN(made.zstd_, make_zstd_decompression_context(made.zstd_workspace_));
  DW_ASSIGN(made.zlib_, make_zlib_decompression_context(made.zlib_workspace_));
  return made;
}

Status PageDecompressor::decompress_zstd(Bytes stored, MutableBytes page) {
  if (!read_zstd_frame(zstd_, stored, page)) return damaged();
  return {};
}

Status PageDecompressor::decompress_zlib(Bytes stored, MutableBytes page) {
  size_t taken = 0;
  size_t made = 0;
  libdeflate_result result = libdeflate_zlib_decompress_ex(zlib_, stored.data(), stored.size(),
                                                           page.data(), page.size(), &taken, &made);
  if (result != LIBDEFLATE_SUCCESS || taken != stored.size() || made != page.size())
    return damaged();
  return {};
}

}  // namespace dw
