// A stream (stream.md) that is being read: the index of its frames, which were walked, and what its
// marks and its closing frame say. Ours, and any zstd file in frames small enough.
//
// Thread safety: as ByteSource. The index takes 24 bytes for each frame.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/format/frame_walker.h"
#include "capture/format/stream_format.h"

namespace dw {

class StreamFile : public ByteSource {
 public:
  // Walks the whole file. A stream that was cut off is no error; frames that make no sense, and a
  // seek table or a closing frame that does not fit them, are (kBadInput, with the offset).
  static Result<std::unique_ptr<StreamFile>> open(ReadableFile file);

  [[nodiscard]] uint64_t size() const override { return content_bytes_; }
  [[nodiscard]] Ending ending() const override { return ending_; }
  [[nodiscard]] std::optional<uint64_t> cut_at() const override { return cut_at_; }
  [[nodiscard]] bool covers(uint64_t offset, uint64_t length) const override;
  [[nodiscard]] uint64_t file_offset(uint64_t offset) const override;
  // Compares the closing frame's digest, or without one, decompresses every frame. Nothing less
  // speaks for the marks, and for the sizes that frames claim.
  Status verify() const override;
  Result<std::unique_ptr<ByteReader>> open_reader() const override;
  [[nodiscard]] size_t reader_bytes() const override;
  [[nodiscard]] size_t index_bytes() const override;

  [[nodiscard]] Compression compression() const { return compression_; }
  [[nodiscard]] const std::optional<ClosingFrame>& closing() const { return closing_; }

 private:
  friend class StreamReader;
  friend class StreamIndexer;

  struct Frame {
    uint64_t file_offset;
    uint64_t content_offset;
    uint32_t file_bytes;
    uint32_t content_bytes;
  };
  // Missing slots of the frame whose content begins there.
  struct Mark {
    uint64_t content_offset;
    uint64_t file_offset;
    uint8_t slots[kMaxFrameSlots / 8];
  };

  explicit StreamFile(ReadableFile file) : file_(std::move(file)) {}

  // The frame that holds this byte, which lies before size().
  [[nodiscard]] const Frame& frame_at(uint64_t offset) const;
  Status settle_marks();
  Status check_digest() const;
  Result<uint64_t> digest_of(const FrameInfo& frame, MutableBytes buffer) const;
  Status check_every_frame() const;

  ReadableFile file_;
  Compression compression_ = Compression::kZstd;
  std::vector<Frame> frames_;
  std::vector<Mark> marks_;
  uint64_t slot_bytes_ = 0;  // if there are marks
  uint64_t content_bytes_ = 0;
  uint32_t max_file_bytes_ = 0;
  uint32_t max_content_bytes_ = 0;
  std::optional<ClosingFrame> closing_;
  uint64_t closing_offset_ = 0;
  Ending ending_ = Ending::kUnsaid;
  std::optional<uint64_t> cut_at_;
};

}  // namespace dw
