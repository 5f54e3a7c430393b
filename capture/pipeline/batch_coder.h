// What a worker does with the pages of a batch once they are copied: each on its own (kdump, ELF),
// or all together as one frame (stream).
//
// Thread safety: one object per thread. Asks for no memory after it is made.
#pragma once

#include <memory>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/page_compressor.h"
#include "capture/pipeline/batch_output.h"

namespace dw {

enum class Coding : uint8_t { kPages, kFrames };

struct CodingOptions {
  Coding coding = Coding::kPages;
  CompressionOptions compression;
  // For kPages:
  bool share_zero_pages = true;   // pages of zeros get no data
  bool share_duplicates = false;  // pages that were stored before get none either
  uint64_t hash_seed = 0;         // nothing that could be known before the crash
};

// Pages that are read at once: large enough to make the call cheap, small enough to stay in the
// second-level cache until they are compressed.
inline constexpr unsigned kRunPages = 32;

class BatchCoder {
 public:
  BatchCoder() = default;
  BatchCoder(const BatchCoder&) = delete;
  BatchCoder& operator=(const BatchCoder&) = delete;
  virtual ~BatchCoder() = default;

  // Before the first page of a batch.
  virtual void begin(const PlannedBatch& batch) = 0;
  // Where the next `count` pages, at most kRunPages, are to be copied to.
  [[nodiscard]] virtual MutableBytes room(unsigned count) = 0;
  // Those pages; bit i of `readable` is set if page i is there.
  virtual void add(unsigned count, uint64_t readable, BatchOutput& output) = 0;
  // Behind the last one.
  virtual void finish(BatchOutput& output) = 0;
};

// `duplicates` must outlive the coder; null unless share_duplicates.
Result<std::unique_ptr<BatchCoder>> make_batch_coder(const CodingOptions& options, size_t page_size,
                                                     const DuplicateIndex* duplicates);

// What one coder takes, in bytes.
[[nodiscard]] size_t batch_coder_memory_bytes(const CodingOptions& options, size_t page_size);

// The most data that a batch can make, in bytes.
[[nodiscard]] size_t batch_data_bytes(const CodingOptions& options, size_t page_size);

}  // namespace dw
