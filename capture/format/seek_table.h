// The seek table at the end of a zstd file in the seekable format: what it claims, to be compared
// with the frames that are there.
//
// Source: contrib/seekable_format/zstd_seekable_compression_format.md of zstd.
// Thread safety: one thread. The descriptor must outlive it.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/file_window.h"
#include "capture/base/result.h"
#include "capture/format/frame_walker.h"

namespace dw {

class SeekTable {
 public:
  // Nothing if the file does not end in one. Error kBadInput if its own numbers contradict.
  static Result<std::optional<SeekTable>> find(const FileView& file, uint64_t file_size);

  // Where its frame begins.
  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t entries() const { return entries_; }

  // Error kBadInput, with the entry's offset, if the table tells something else of frame `index`.
  Status check(uint64_t index, const FrameInfo& frame);

 private:
  SeekTable(const FileView& file, uint64_t offset, uint64_t entries, unsigned entry_bytes)
      : window_(file), offset_(offset), entries_(entries), entry_bytes_(entry_bytes) {}

  FileWindow window_;
  uint64_t offset_;
  uint64_t entries_;
  unsigned entry_bytes_;
};

// What a table that lies is told as.
[[nodiscard]] Error seek_table_error(uint64_t offset);

}  // namespace dw
