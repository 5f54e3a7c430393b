// Where in a flattened file each byte of the meant file stands.
//
// Records of one length that follow each other in both files count as one run, so that the index
// of a dump takes some tens of bytes for each MiB. Thread safety: immutable after resolve().
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capture/base/result.h"

namespace dw {

class FlattenedIndex {
 public:
  // Bytes of the meant file that stand in one piece of the flattened one.
  struct Piece {
    uint64_t content_offset;
    uint64_t file_offset;
    uint64_t bytes;
  };

  // The next record in the order of the file; `bytes` > 0, content_offset + bytes does not wrap.
  // Error kUnsupported if there are too many.
  Status add(const Piece& record);

  // Sorts; where records overlap, the later in the file wins. Once, after the last add().
  Status resolve();

  // The piece that holds `offset`, from there on.
  [[nodiscard]] std::optional<Piece> find(uint64_t offset) const;
  // Where the next piece behind `offset`, which is in none, begins; the largest number if nowhere.
  [[nodiscard]] uint64_t next_begin(uint64_t offset) const;
  // One past the last byte that any record has.
  [[nodiscard]] uint64_t end() const { return end_; }

  [[nodiscard]] size_t memory_bytes() const { return runs_.capacity() * sizeof(Run); }

 private:
  struct Run {
    uint64_t content_offset;
    uint64_t file_offset;
    uint64_t record_bytes;
    uint64_t records;  // each behind a header of 16 bytes

    [[nodiscard]] uint64_t end() const { return content_offset + record_bytes * records; }
    [[nodiscard]] Piece from(uint64_t offset) const;
  };

  // Adds the part [begin, end) of `run`.
  static Status add_part(std::vector<Run>& runs, const Run& run, uint64_t begin, uint64_t end);

  std::vector<Run> runs_;
  uint64_t end_ = 0;
};

}  // namespace dw
