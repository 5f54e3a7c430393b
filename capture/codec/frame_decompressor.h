// The other direction: a frame of the stream format back to its content. Input is untrusted.
// One FrameDecompressor per thread; it owns the library's context and allocates nothing later.
#pragma once

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"

struct ZSTD_DCtx_s;

namespace dw {

class FrameDecompressor {
 public:
  // kZstd and kNone: zstd frames; kLz4: LZ4 frames. Error kNoMemory; kUsage for zlib.
  static Result<FrameDecompressor> create(Compression compression);

  // Exactly one frame to exactly content.size() bytes. Error kBadInput if it is damaged, cut, of
  // another size, or followed by anything; the caller knows where it stands.
  Status decompress(Bytes frame, MutableBytes content);

 private:
  FrameDecompressor() = default;

  Buffer workspace_;
  ZSTD_DCtx_s* zstd_ = nullptr;  // lies in the workspace; without it frames are LZ4's
};

}  // namespace dw
