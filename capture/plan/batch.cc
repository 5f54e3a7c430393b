#include "capture/plan/batch.h"

namespace dw {

BatchCursor::BatchCursor(const Plan& plan, uint64_t first_sequence)
    : chunks_(plan), next_(chunks_.next()) {
  while (sequence_ < first_sequence && step([](const PlannedChunk&) {})) {
  }
}

template <typename Take>
bool BatchCursor::step(Take take) {
  if (!next_) return false;
  for (unsigned pages = 0; next_ && pages + next_->kept <= kBatchPages; next_ = chunks_.next()) {
    pages += next_->kept;
    take(*next_);
  }
  ++sequence_;
  return true;
}

bool BatchCursor::next(PlannedBatch& batch) {
  batch.count_ = 0;
  batch.pages_ = 0;
  batch.sequence_ = sequence_;
  return step([&](const PlannedChunk& chunk) {
    batch.chunks_[batch.count_++] = chunk;
    batch.pages_ += chunk.kept;
  });
}

Status visit_batches(const Plan& plan, uint64_t begin, uint64_t end, const BatchVisitor& visit) {
  BatchCursor cursor(plan, begin);
  PlannedBatch batch;
  for (uint64_t sequence = begin; sequence < end && cursor.next(batch); ++sequence)
    DW_TRY(visit(batch));
  return {};
}

}  // namespace dw
