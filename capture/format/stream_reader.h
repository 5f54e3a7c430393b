// One thread's way into a stream: decompresses a frame at a time and keeps the last few.
#pragma once

#include <array>
#include <memory>

#include "capture/base/buffer.h"
#include "capture/base/byte_source.h"
#include "capture/codec/frame_decompressor.h"
#include "capture/format/stream_file.h"

namespace dw {

class StreamReader : public ByteReader {
 public:
  // One for pages, one for descriptors, one for bitmaps.
  static constexpr size_t kKeptFrames = 3;

  // Error kNoMemory. `file` must outlive it.
  static Result<std::unique_ptr<StreamReader>> create(const StreamFile& file);

  Result<size_t> read_up_to(MutableBytes into, uint64_t offset) override;

  // Decompresses a frame into one of the kept places. Error kBadInput with the file's offset.
  Result<Bytes> content_of(const StreamFile::Frame& frame);

 private:
  struct Kept {
    const StreamFile::Frame* frame = nullptr;
    uint64_t used = 0;  // the larger, the later
    Buffer content;
  };

  StreamReader(const StreamFile& file, FrameDecompressor decompressor)
      : file_(&file), decompressor_(std::move(decompressor)) {}

  Kept& oldest();

  const StreamFile* file_;
  FrameDecompressor decompressor_;
  Buffer stored_;
  std::array<Kept, kKeptFrames> kept_;
  uint64_t uses_ = 0;
};

}  // namespace dw
