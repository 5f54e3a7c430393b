#include "capture/pipeline/batch_output.h"

#include "capture/codec/running_digest.h"

namespace dw {

PageCounts& PageCounts::operator+=(const PageCounts& other) {
  stored += other.stored;
  shared += other.shared;
  zero += other.zero;
  missing += other.missing;
  changed_chunks += other.changed_chunks;
  return *this;
}

Result<BatchOutput> BatchOutput::create(size_t data_size) {
  BatchOutput output;
  DW_ASSIGN(output.buffer_, Buffer::allocate(data_size));
  return output;
}

void BatchOutput::clear() {
  data_size_ = 0;
  data_digest_ = 0;
  record_count_ = 0;
  chunk_count_ = 0;
  counts_ = {};
  error_.reset();
}

void BatchOutput::begin_chunk(const ChunkBits& pages) {
  DW_CHECK(chunk_count_ < chunk_pages_.size());
  chunk_pages_[chunk_count_++] = pages;
}

void BatchOutput::use(size_t size) {
  DW_CHECK(size <= buffer_.size() - data_size_);
  data_size_ += size;
}

void BatchOutput::finish() { data_digest_ = digest64(data()); }

void BatchOutput::add(const PageRecord& record, const PageHash& hash) {
  DW_CHECK(record_count_ < records_.size());
  hashes_[record_count_] = hash;
  records_[record_count_++] = record;
  switch (record.state) {
    case PageState::kStored:
      ++counts_.stored;
      break;
    case PageState::kSame:
    case PageState::kEarlier:
      ++counts_.shared;
      break;
    case PageState::kZero:
      ++counts_.zero;
      break;
    case PageState::kMissing:
      ++counts_.missing;
      break;
  }
}

}  // namespace dw
