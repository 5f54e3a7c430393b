// Writes the journal of a dump to the target, behind the pieces that it vouches for.
//
// Records are collected; the caller flushes those whose pieces are on the disk. Thread safety: one
// thread. Asks for no memory after it is made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capture/base/result.h"
#include "capture/journal/journal_format.h"
#include "capture/target/target.h"

namespace dw {

class JournalWriter {
 public:
  JournalWriter(Target& target, JournalHeader header);

  [[nodiscard]] const JournalHeader& header() const { return header_; }

  // Makes room for `bytes` of records, so that a full disk cannot stop the journal. After
  // go_on_at() a disk without that much is no error: the dump goes on as far as it can.
  Status preallocate(uint64_t bytes);

  // Whether one more record of `chunks` chunks can be added before the next flush(). Once a
  // checkpoint flushed what was added before the last one, there is room for some.
  [[nodiscard]] bool has_room(size_t chunks) const;
  // Fills in what belongs to the list itself: `record.chunks` and the check.
  void add(JournalRecord record, std::span<const PlannedChunk> chunks = {});

  // Separates what was added so far from what follows.
  void mark() { marked_ = pending_.size(); }
  // Writes what was added before the last mark(); it is durable after the target's next sync().
  Status flush_marked();
  // Writes all that was added.
  Status flush();

  // Goes on behind the record that ends at `position` of the list on the target; what stands
  // there is dropped.
  Status go_on_at(uint64_t position);

  // Bytes of the list on the target.
  [[nodiscard]] uint64_t flushed() const { return flushed_; }

  // What the constructor allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return kPendingBytes; }

 private:
  // Of which half may be behind the last mark.
  static constexpr size_t kPendingBytes = 192 << 10;

  Status flush_first(size_t size);

  Target* target_;
  JournalHeader header_;
  std::vector<std::byte> pending_;
  size_t marked_ = 0;  // of pending_
  uint64_t flushed_ = 0;
  bool goes_on_ = false;
};

}  // namespace dw
