// Reads the journal of a dump: record by record, up to the first that is not whole.
//
// Everything is untrusted. A list that was being written when the power went ends in what was not
// synced: that is its end, not an error. Thread safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/journal/journal_format.h"
#include "capture/target/target.h"

namespace dw {

struct JournalEntry {
  JournalRecord record;
  std::span<const uint32_t> chunks;  // first page frame / kChunkPages; until the next call
  uint64_t position = 0;             // of the record in the list, bytes
  // Where the next one begins.
  [[nodiscard]] uint64_t end() const { return position + record_bytes(record.chunks); }
};

class JournalReader {
 public:
  // Reads exactly `into` from `offset` of the list on.
  using ReadAt = std::function<Status(uint64_t offset, MutableBytes into)>;

  // Error kBadInput if the header is not that of a list, kUnsupported if it is of another version.
  static Result<JournalReader> open(ReadAt read_at, uint64_t size);
  // What was flushed to `target`, or what an earlier run left there.
  static Result<JournalReader> open(Target& target);
  static Result<JournalReader> open(const FileView& file);

  [[nodiscard]] const JournalHeader& header() const { return header_; }
  [[nodiscard]] uint64_t size() const { return size_; }

  // The next record, or nothing where the list ends.
  Result<std::optional<JournalEntry>> next();
  // Where the whole records end so far, bytes.
  [[nodiscard]] uint64_t end() const { return at_; }
  // To be read next: the header's end, or the position of a record.
  void go_to(uint64_t position);

 private:
  JournalReader(ReadAt read_at, uint64_t size) : read_at_(std::move(read_at)), size_(size) {}

  // At least `count` bytes at at_, if the list has as many; fewer where it ends.
  Result<Bytes> look(size_t count);

  ReadAt read_at_;
  uint64_t size_;
  JournalHeader header_;
  uint64_t at_ = sizeof(JournalHeader);
  std::array<std::byte, 16384> window_{};
  uint64_t window_begin_ = 0;
  size_t window_size_ = 0;
  std::array<uint32_t, kMaxRecordChunks> chunks_{};
};

}  // namespace dw
