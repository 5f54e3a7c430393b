#include "capture/codec/frame_decompressor.h"

#include "capture/codec/lz4_frame.h"
#include "capture/codec/zstd_context.h"
#include "capture/codec/zstd_frame.h"

namespace dw {

Result<FrameDecompressor> FrameDecompressor::create(Compression compression) {
  FrameDecompressor made;
  if (compression == Compression::kZlib)
    return Error(ErrorKind::kUsage, "zlib is not possible in the stream format");
  if (compression != Compression::kLz4) {
    DW_ASSIGN(made.zstd_, make_zstd_decompression_context(made.workspace_));
  }
  return made;
}

Status FrameDecompressor::decompress(Bytes frame, MutableBytes content) {
  bool read =
      zstd_ != nullptr ? read_zstd_frame(zstd_, frame, content) : read_lz4_frame(frame, content);
  if (!read) return Error(ErrorKind::kBadInput, "a compressed frame is damaged");
  return {};
}

}  // namespace dw
