// What a worker makes of a batch: its data, and a record for each of its pages.
//
// Made once and used again; clear() between uses. Thread safety: handed from a worker to the
// committer and back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/pipeline/duplicate_index.h"
#include "capture/pipeline/page_record.h"
#include "capture/plan/batch.h"

namespace dw {

// Pages, unless the name says otherwise.
struct PageCounts {
  uint64_t stored = 0;  // with bytes of their own
  uint64_t shared = 0;  // with the bytes of another page that is not all zeros
  uint64_t zero = 0;
  uint64_t missing = 0;
  uint64_t changed_chunks = 0;  // judged differently by pass 2 than by pass 1

  [[nodiscard]] uint64_t readable() const { return stored + shared + zero; }
  [[nodiscard]] uint64_t total() const { return readable() + missing; }
  PageCounts& operator+=(const PageCounts& other);
};

class BatchOutput {
 public:
  // `data_size`: the most that a batch can need, in bytes.
  static Result<BatchOutput> create(size_t data_size);

  [[nodiscard]] Bytes data() const { return std::as_const(buffer_).bytes().first(data_size_); }
  // digest64() of data(), once finish() was called.
  [[nodiscard]] uint64_t data_digest() const { return data_digest_; }
  // One for each page of the batch, in its order.
  [[nodiscard]] std::span<const PageRecord> records() const {
    return std::span(records_).first(record_count_);
  }
  // Which pages of each chunk of the batch the records are of, in its order; none of a chunk whose
  // records are all missing because the pages are not known.
  [[nodiscard]] std::span<const ChunkBits> chunk_pages() const {
    return std::span(chunk_pages_).first(chunk_count_);
  }
  // Of the stored pages' bytes, by record, if the coder looks for duplicates.
  [[nodiscard]] const PageHash& hash(size_t record) const { return hashes_[record]; }
  [[nodiscard]] const PageCounts& counts() const { return counts_; }
  // The planned pages could not be had: nothing of the batch is known to be right.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  void clear();
  void begin_chunk(const ChunkBits& pages);
  void count_changed_chunk() { ++counts_.changed_chunks; }
  void fail(const Error& error) { error_ = error; }
  // What is not used of the data yet.
  [[nodiscard]] MutableBytes room() { return buffer_.bytes().subspan(data_size_); }
  void use(size_t size);
  void add(const PageRecord& record, const PageHash& hash = {});
  // Behind the last byte of data.
  void finish();

 private:
  Buffer buffer_;
  size_t data_size_ = 0;
  uint64_t data_digest_ = 0;
  unsigned record_count_ = 0;
  unsigned chunk_count_ = 0;
  std::array<PageRecord, kBatchPages> records_{};
  std::array<PageHash, kBatchPages> hashes_{};
  std::array<ChunkBits, kBatchPages> chunk_pages_{};
  PageCounts counts_;
  std::optional<Error> error_;
};

}  // namespace dw
