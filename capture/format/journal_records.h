// What the journals of all formats have in common: the records of the plan, of a batch and of the
// head, and how whoever goes on with a dump compares them with what they have to be.
//
// Thread safety: one thread; what does not take a target is a pure function.
#pragma once

#include <array>
#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/head_sum.h"
#include "capture/journal/journal_reader.h"
#include "capture/journal/journal_writer.h"
#include "capture/pipeline/batch_output.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"
#include "capture/target/target.h"

namespace dw {

struct PlanRecord {
  JournalRecord record;
  uint64_t batch_bytes = 0;  // what the records of its batches take in the journal
  [[nodiscard]] uint64_t batches() const { return record.content; }
};
[[nodiscard]] PlanRecord make_plan_record(const Plan& plan);
[[nodiscard]] bool is_of_plan(const JournalRecord& record, const Plan& plan);

// Kind, counts and the digest of its data; not where it stands.
[[nodiscard]] JournalRecord make_pages_record(const BatchOutput& output);
[[nodiscard]] PageCounts counts_of(const JournalRecord& record);
// A record of pages, with the chunks of this batch and as many pages.
[[nodiscard]] bool is_of_batch(const JournalEntry& entry, const PlannedBatch& batch);

// A head is listed in pieces of so many bytes.
inline constexpr uint64_t kHeadPieceBytes = 4 << 20;
// Adds part of the head, from `begin` to `end` of the file, as it reads back, which is added to
// `read_back`.
Status add_head(JournalWriter& journal, Target& target, uint64_t begin, uint64_t end,
                HeadSum& read_back);
// Whether that is what was written. Nothing notices a bit that is flipped on its way over NFS, and
// one in the bitmap moves every page behind it. Error kLost: the next time it may go well.
Status compare_head(const HeadSum& written, const HeadSum& read_back);

// Why an interrupted dump stays as it is.
[[nodiscard]] Error cannot_go_on(const char* why);

// Error kBadInput if its header is not `expected`.
Result<JournalReader> open_expected_journal(Target& target, const JournalHeader& expected);

// False if the disk cannot read it: it may still be able to write it again. But from a lost
// connection nothing follows, and that is an error.
Result<bool> could_read(const Status& read);

// Whether the piece stands in the file as the record says. `scratch` is what is read at once.
// Errors as of could_read().
Result<bool> is_there(Target& target, const JournalRecord& record, MutableBytes scratch);

// Where the batches walked last stand in the journal, and what reading them back costs, in bytes.
class LastBatches {
 public:
  // How much is read back before a dump is gone on with: a checkpoint's worth.
  static constexpr uint64_t kReadBackBytes = 64 << 20;

  void add(uint64_t sequence, uint64_t position, uint64_t bytes) {
    entries_[sequence % kMost] = {.position = position, .bytes = bytes};
  }
  // The first of `batches` that is to be read back; at least the last one is.
  [[nodiscard]] uint64_t first(uint64_t batches) const;
  [[nodiscard]] uint64_t position(uint64_t sequence) const {
    return entries_[sequence % kMost].position;
  }

 private:
  struct Entry {
    uint64_t position = 0;
    uint64_t bytes = 0;
  };
  static constexpr uint64_t kMost = 1024;
  std::array<Entry, kMost> entries_{};
};

// The last point up to which a journal vouches for all, and before which enough was read back and
// found right. `walk(limit)` follows the journal over at most `limit` batches, and gives a point;
// `first_wrong(point)` reads back, and gives the first batch that is wrong, or `point.batches`.
template <typename Walk, typename FirstWrong>
auto find_point(Walk walk, FirstWrong first_wrong) -> decltype(walk(uint64_t{0})) {
  // A dump on which it moves back that often is not worth going on with.
  constexpr int kMaxSteps = 64;
  uint64_t limit = UINT64_MAX;
  for (int step = 0; step < kMaxSteps; ++step) {
    auto point = walk(limit);
    if (!point.ok()) return point.error();
    DW_ASSIGN(limit, first_wrong(*point));
    if (limit == point->batches) return point;
  }
  return cannot_go_on("too much of the dump is not what its list of checksums says");
}

}  // namespace dw
