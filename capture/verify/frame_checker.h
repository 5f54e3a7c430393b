// Reads pieces of a stream: their digests, and whether the frames among them decompress.
//
// One FrameChecker per thread. For our own frames its buffers take 2.1 MiB; for those of others
// they grow with the longest, to 33 MiB at most. Everything is untrusted.
#pragma once

#include <cstdint>

#include "capture/base/buffer.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/codec/frame_decompressor.h"

namespace dw {

class FrameChecker {
 public:
  // `file` must outlive it. Makes room for frames of ours with at most `most_content` bytes, or
  // what fits in the file. Error kNoMemory.
  static Result<FrameChecker> create(const FileView& file, Compression compression,
                                     uint64_t most_content);

  struct Found {
    bool read = false;  // all of it could be
    uint64_t digest = 0;
    bool right = false;  // it decompresses to what it claims, if it claims anything
    Bytes content;       // then; until the next call
  };
  // A piece that decompresses to `content` bytes; to none if it is no frame of content. A piece
  // that is too long for a frame is not decompressed. Error kNoMemory.
  Result<Found> check(uint64_t offset, uint64_t length, uint64_t content);

 private:
  FrameChecker(FileView file, FrameDecompressor decompressor)
      : file_(file), decompressor_(std::move(decompressor)) {}

  FileView file_;
  FrameDecompressor decompressor_;
  Buffer stored_;
  Buffer content_;
};

}  // namespace dw
