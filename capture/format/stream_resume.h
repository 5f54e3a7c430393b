// How far an interrupted stream is certain to have got.
//
// Everything that is read is untrusted. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/frame_file.h"
#include "capture/format/journal_records.h"
#include "capture/journal/journal_reader.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"
#include "capture/target/target.h"

namespace dw {

// What the stream has to be.
struct ExpectedStream {
  JournalHeader journal;
  Bytes first_frame;        // as it is before sealing
  uint64_t head_bytes = 0;  // of content, before the first slot
  uint64_t slot_bytes = 0;
};

class StreamResume {
 public:
  // Where the stream goes on: behind the frame of a batch and its mark.
  struct Point {
    uint64_t batches = 0;  // before it
    PageCounts counts;     // of these
    FramesSoFar frames;
    uint64_t journal_end = 0;  // offset in the journal, bytes
  };

  // `scratch` is used for reading. Errors: kBadInput, with the reason, if the stream on `target` is
  // another one or its head is damaged. All that is pointed to must outlive it.
  static Result<StreamResume> open(Target& target, const ExpectedStream& expected, const Plan& plan,
                                   MutableBytes scratch);

  // The last one up to which the journal vouches for all, and before which enough was read back
  // and found right.
  Result<Point> find();

 private:
  StreamResume(Target& target, const ExpectedStream& expected, const Plan& plan,
               MutableBytes scratch, JournalReader journal)
      : target_(&target),
        expected_(expected),
        plan_(&plan),
        scratch_(scratch),
        journal_(std::move(journal)) {}

  Status check_head();
  Status check_head_frame(const JournalRecord& record, uint64_t end);
  Result<Point> walk(uint64_t limit);
  Result<Point> walk_head();
  // Whether the record is of the frame that stands behind `end`.
  [[nodiscard]] bool follows(const JournalRecord& record, uint64_t end) const;
  // The record of the mark behind the frame of `pages`, or nothing.
  Result<std::optional<JournalRecord>> mark_behind(const JournalRecord& pages);
  Result<uint64_t> first_wrong(const Point& point);
  Result<bool> is_right(uint64_t sequence);

  Target* target_;
  ExpectedStream expected_;
  const Plan* plan_;
  MutableBytes scratch_;
  JournalReader journal_;
  uint64_t file_bytes_ = 0;
  uint64_t head_frames_ = 0;
  LastBatches last_;
};

}  // namespace dw
