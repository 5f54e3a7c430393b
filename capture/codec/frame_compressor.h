// Compresses larger pieces of content, each into one complete frame of its own, as the stream
// format wants them: zstd -d and lz4 -d read any sequence of them.
//
// One FrameCompressor per thread; it owns the library's context, which is allocated and touched
// when it is made, so that compressing needs no memory later.
#pragma once

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"

struct ZSTD_CCtx_s;

namespace dw {

class FrameCompressor {
 public:
  // For content of up to `max_content` bytes (at most 1 GiB) at a time. Without compression frames
  // are zstd frames of raw blocks. Error kUsage for zlib, which has no such frames; kNoMemory.
  static Result<FrameCompressor> create(CompressionOptions options, size_t max_content);

  // One zstd frame (RFC 8878) or LZ4 frame with content size and content checksum; returns its
  // length. `out` is at least bound(content.size()) long.
  size_t compress(Bytes content, MutableBytes out);

  // The same, in the same container, but with the content stored as it is: the frame's length
  // depends on nothing but the content's, so a frame can be put in another's place later.
  size_t store(Bytes content, MutableBytes out);

  // No frame of so much content is longer.
  [[nodiscard]] static size_t bound(size_t content_size);

  // Upper bound of the memory that one context takes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions options, size_t max_content);

 private:
  FrameCompressor(CompressionOptions options, size_t max_content)
      : options_(options), max_content_(max_content) {}

  CompressionOptions options_;
  size_t max_content_;
  Buffer workspace_;
  ZSTD_CCtx_s* zstd_ = nullptr;  // lies in the workspace, as LZ4's state does
};

}  // namespace dw
