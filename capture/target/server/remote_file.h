// A file on a server that is written, appended to and read back, as a Target needs it: appended
// bytes go in large pieces, writes that overlap never meet on their way, and reads seldom wait.
//
// After a write, or a commit, that failed nothing that was written since the last commit is
// certain: commit() fails from then on.
// Thread safety: none. Asks for no memory after open().
#pragma once

#include <cstdint>
#include <memory>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/server/file_server.h"
#include "capture/target/server/range_set.h"
#include "capture/target/server/read_cache.h"

namespace dw {

class RemoteFile {
 public:
  // What it may take, in bytes.
  struct Memory {
    size_t piece;  // what is appended is collected up to this; 0 if nothing is
    size_t ahead;  // read ahead
  };

  static Result<RemoteFile> open(std::unique_ptr<ServerFile> file, const Memory& memory);
  // The same with a file that was made just now.
  static Result<RemoteFile> open_new(std::unique_ptr<ServerFile> file, const Memory& memory) {
    return open(std::move(file), memory, 0);
  }

  Status write(uint64_t offset, Bytes bytes);
  // As write(); what is taken may be held back until commit() or flush().
  Status append(uint64_t offset, Bytes bytes);
  // Error kBadInput if the file ends first.
  Status read(uint64_t offset, MutableBytes into);
  // With what is held back.
  [[nodiscard]] uint64_t size() const;
  // Forgets what is held back behind `length`.
  Status truncate(uint64_t length);
  // Writes zeros; returns when the server has taken them. Error kNoSpace: then some may be there,
  // and all else is as it was.
  Status write_zeros(uint64_t begin, uint64_t end);

  // As ReadCache's.
  [[nodiscard]] MutableBytes give_window() { return cache_.give_window(); }

  // Returns when the server has answered all writes.
  Status flush();
  // With nothing on its way.
  [[nodiscard]] ServerFile& file() { return *file_; }
  // As ServerFile's.
  Status commit();
  Status start_commit();
  [[nodiscard]] bool commit_done() { return file_->commit_done(); }
  Status finish_commit();

  // What open() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes(const Memory& memory) {
    return memory.piece + ReadCache::memory_bytes(memory.ahead) +
           2 * RangeSet::memory_bytes(kMostRanges);
  }

 private:
  static constexpr size_t kMostRanges = 1024;

  RemoteFile(std::unique_ptr<ServerFile> file, Buffer piece, ReadCache cache, uint64_t size)
      : file_(std::move(file)), piece_(std::move(piece)), cache_(std::move(cache)), size_(size) {}

  static Result<RemoteFile> open(std::unique_ptr<ServerFile> file, const Memory& memory,
                                 uint64_t size);
  [[nodiscard]] uint64_t piece_end() const { return piece_begin_ + piece_used_; }
  [[nodiscard]] bool is_held_back(uint64_t offset, uint64_t length) const;
  [[nodiscard]] bool is_on_its_way(uint64_t begin, uint64_t end) const;
  Status begin_piece(uint64_t offset);
  // Hands over what is held back.
  Status push();
  Status send(uint64_t offset, Bytes bytes);
  Status note(uint64_t begin, uint64_t end);
  Status fetch(uint64_t offset, MutableBytes into);
  Status send_zeros(uint64_t begin, uint64_t end);
  // An error that may be one of a write.
  Status written(const Status& status);

  std::unique_ptr<ServerFile> file_;
  Buffer piece_;
  uint64_t piece_begin_ = 0;  // offset in the file
  size_t piece_used_ = 0;
  ReadCache cache_;
  uint64_t size_;  // without what is held back
  // Not answered yet, as far as is known: written before start_commit(), and since then.
  RangeSet committing_{kMostRanges};
  RangeSet on_their_way_{kMostRanges};
  bool failed_ = false;
};

}  // namespace dw
