#include "capture/plan/batch.h"

namespace dw {

bool BatchCursor::next(PlannedBatch& batch) {
  batch.count_ = 0;
  batch.pages_ = 0;
  for (; next_ && batch.pages_ + next_->kept <= kBatchPages; next_ = chunks_.next()) {
    batch.chunks_[batch.count_++] = *next_;
    batch.pages_ += next_->kept;
  }
  if (batch.count_ > 0) batch.sequence_ = sequence_++;
  return batch.count_ > 0;
}

}  // namespace dw
