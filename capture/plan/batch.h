// The plan in pieces of about equal work: batches of whole chunks, as many as fit in 256 pages.
//
// At a high dump level most chunks keep a few pages only; a batch of them costs the pipeline one
// turn, and makes one frame of a stream. Depends on the plan alone, so it is the same for any
// number of threads. Thread safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "capture/plan/plan.h"

namespace dw {

// At most this many pages make a batch, and every chunk has at least one.
inline constexpr unsigned kBatchPages = kChunkPages;

class PlannedBatch {
 public:
  [[nodiscard]] std::span<const PlannedChunk> chunks() const {
    return std::span(chunks_).first(count_);
  }
  [[nodiscard]] unsigned pages() const { return pages_; }
  // 0 for the first batch of the plan.
  [[nodiscard]] uint64_t sequence() const { return sequence_; }

 private:
  friend class BatchCursor;

  std::array<PlannedChunk, kBatchPages> chunks_{};
  unsigned count_ = 0;
  unsigned pages_ = 0;
  uint64_t sequence_ = 0;
};

// Walks the batches of a plan, in plan order.
class BatchCursor {
 public:
  // From batch `first_sequence` on. Those before cost a look at each chunk.
  explicit BatchCursor(const Plan& plan, uint64_t first_sequence = 0);

  // False, with `batch` empty, if there are no more.
  bool next(PlannedBatch& batch);

 private:
  // Passes the chunks of the next batch to `take`; false if there are none.
  template <typename Take>
  bool step(Take take);

  Plan::Cursor chunks_;
  std::optional<PlannedChunk> next_;
  uint64_t sequence_ = 0;
};

using BatchVisitor = std::function<Status(const PlannedBatch&)>;

// Passes batches [begin, end) to `visit`, as far as the plan has them. Returns its first error.
Status visit_batches(const Plan& plan, uint64_t begin, uint64_t end, const BatchVisitor& visit);

}  // namespace dw
