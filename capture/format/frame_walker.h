// Walks the frames of a zstd or LZ4 file from its beginning, by their headers alone: nothing is
// decompressed, and no length is believed that leads out of the file.
//
// Sources: RFC 8878 (zstd), doc/lz4_Frame_format.md of lz4. Of LZ4 frames only those are read that
// capture/codec writes: blocks of at most 1 MiB, content size, content checksum.
// Thread safety: one thread. The descriptor must outlive it.
#pragma once

#include <cstdint>

#include "capture/base/file_window.h"
#include "capture/base/result.h"

namespace dw {

// The most content that one frame may have; every reader keeps some frames in memory.
inline constexpr uint64_t kMaxFrameContent = 16 << 20;

struct FrameInfo {
  uint32_t magic = 0;
  uint64_t offset = 0;         // in the file
  uint64_t length = 0;         // in the file
  uint64_t content_bytes = 0;  // 0 for skippable frames

  [[nodiscard]] bool skippable() const;
};

class FrameWalker {
 public:
  enum class Step : uint8_t {
    kFrame,
    kEnd,  // the file ends behind a frame
    kCut,  // it ends inside one
  };

  FrameWalker(FileView file, uint64_t file_size) : file_size_(file_size), window_(file) {}

  // Errors kBadInput and kUnsupported, with the offset. To be called until it is not kFrame.
  Result<Step> next(FrameInfo& frame);

  // Where the next frame begins, or after kCut the one that is not whole.
  [[nodiscard]] uint64_t offset() const { return offset_; }

 private:
  // What the walk over a frame came to. `at` is behind what was read.
  struct Walk {
    Step step;
    uint64_t at;
  };

  Result<Walk> walk_frame(FrameInfo& frame);
  Result<Walk> walk_skippable();
  Result<Walk> walk_zstd(FrameInfo& frame);
  Result<Walk> walk_zstd_blocks(uint64_t at, const FrameInfo& frame);
  Result<Walk> walk_lz4(FrameInfo& frame);
  Result<Walk> walk_lz4_blocks(uint64_t at, const FrameInfo& frame);
  [[nodiscard]] Walk cut() const { return {.step = Step::kCut, .at = file_size_}; }
  Result<Bytes> look(uint64_t offset, size_t count);

  uint64_t file_size_;
  uint64_t offset_ = 0;
  FileWindow window_;
};

}  // namespace dw
