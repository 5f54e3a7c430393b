// Builds the index of a StreamFile: walks its frames and checks what they say of each other.
// Thread safety: one thread. For stream_file.cc only.
#pragma once

#include <optional>

#include "capture/format/frame_walker.h"
#include "capture/format/seek_table.h"
#include "capture/format/stream_file.h"

namespace dw {

class StreamIndexer {
 public:
  StreamIndexer(StreamFile& file, uint64_t file_size)
      : file_(&file), file_size_(file_size), walker_(file.file_.get(), file_size) {}

  Status run();

 private:
  Status take(const FrameInfo& info);
  Status take_content(const FrameInfo& info);
  Status take_ours(const FrameInfo& info);
  Status take_mark(const FrameInfo& info);
  Status take_closing(const FrameInfo& info);
  Status settle_ending(FrameWalker::Step step);
  template <typename T>
  Result<std::optional<T>> load_frame(const FrameInfo& info);

  StreamFile* file_;
  uint64_t file_size_;
  FrameWalker walker_;
  std::optional<SeekTable> table_;
  uint64_t frames_ = 0;    // of all kinds, so far
  uint64_t missing_ = 0;   // slots, by the marks so far
  bool may_mark_ = false;  // the frame before was one of content
};

}  // namespace dw
