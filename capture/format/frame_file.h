// The frames of a stream on their way to a target: one behind the other, counted, digested, and
// made durable now and then, with the journal beside them where the target keeps one.
//
// Thread safety: one thread. Asks for no memory after it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/running_digest.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/journal/journal_writer.h"
#include "capture/target/target.h"

namespace dw {

// What was written before, whoever wrote it.
struct FramesSoFar {
  uint64_t end = 0;  // of the last frame in the file, bytes
  uint64_t frames = 0;
  uint64_t content_bytes = 0;
  RunningDigest digests;  // of those of all frames but the first

  // The next frame, by what the journal says of it.
  void add(const JournalRecord& record);
};

class FrameFile {
 public:
  FrameFile(Target& target, const JournalHeader& header);

  // Of the journal.
  [[nodiscard]] const JournalHeader& header() const { return journal_->header(); }

  // `record`: what the journal says of the frame, but for where it stands. For a skippable frame
  // the content is 0.
  Status append(Bytes frame, JournalRecord record, std::span<const PlannedChunk> chunks = {});
  // A skippable frame that comes in pieces, behind all others: the first says how long all of them
  // are together. In the journal it is one piece, or several if it is too long for one.
  Status append_piece(Bytes piece);
  Status end_pieces();
  // A record without a piece.
  Status note(const JournalRecord& record);
  // Makes room for `bytes` of records.
  Status preallocate_journal(uint64_t bytes);

  // What was appended counts as written, by a journal that is on the disk behind it.
  Status checkpoint();

  // Puts `frame` in the place of the first one, which is as long, and syncs that. If the sync
  // fails, the first one is put back, as far as that goes.
  Status replace_first(Bytes frame, Bytes before, uint64_t content);

  // Goes on with an interrupted stream behind `before`; `journal_end` is where the records of that
  // end. What stands there is dropped, and the first frame is made `first`.
  Status go_on(FramesSoFar before, uint64_t journal_end, Bytes first);

  [[nodiscard]] uint64_t end() const { return so_far_.end; }
  [[nodiscard]] uint64_t frames() const { return so_far_.frames; }
  [[nodiscard]] uint64_t content_bytes() const { return so_far_.content_bytes; }
  // Of the digests of all frames but the first.
  [[nodiscard]] uint64_t digest() const { return so_far_.digests.value(); }
  // A frame may be there in part: nothing can be appended any more.
  [[nodiscard]] bool broken() const { return broken_; }

  [[nodiscard]] static size_t memory_bytes() { return JournalWriter::memory_bytes(); }

 private:
  Status write(uint64_t offset, Bytes bytes);
  Status make_room(size_t chunks);
  Status end_piece();

  Target* target_;
  std::optional<JournalWriter> journal_;  // of a target that can be rewritten
  FramesSoFar so_far_;
  RunningDigest piece_digest_;
  uint64_t piece_bytes_ = 0;
  CheckpointClock clock_;
  bool broken_ = false;
};

}  // namespace dw
