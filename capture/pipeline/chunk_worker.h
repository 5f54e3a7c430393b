// Pass 2 for one chunk: copy each kept page once, test it for zeros, compress it.
//
// One ChunkWorker per thread; it owns its window on the vmcore, its copy buffer and its compressor.
// Everything is allocated by create(); process() cannot fail as a whole: a page that cannot be read
// is a missing page, and where the pages to keep are no longer those of pass 1, the plan holds.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/codec/page_compressor.h"
#include "capture/pipeline/page_record.h"
#include "capture/plan/plan.h"
#include "capture/plan/window_classifier.h"
#include "capture/source/vmcore.h"

namespace dw {

struct PageCounts {
  uint64_t stored = 0;
  uint64_t zero = 0;
  uint64_t missing = 0;
  uint64_t changed_chunks = 0;  // judged differently by pass 2 than by pass 1

  PageCounts& operator+=(const PageCounts& other);
};

// A processed chunk: its pages' bytes one after another and a record for each kept page.
class ChunkOutput {
 public:
  static Result<ChunkOutput> create(uint64_t page_size);

  [[nodiscard]] Bytes data() const { return std::as_const(buffer_).bytes().first(data_size_); }
  [[nodiscard]] std::span<const PageRecord> records() const {
    return std::span(records_).first(record_count_);
  }
  [[nodiscard]] const PageCounts& counts() const { return counts_; }

  void clear();
  void mark_changed() { counts_.changed_chunks = 1; }
  // The planned pages could not be had from the target: nothing of the chunk is known to be right.
  void fail(const Error& error) { error_ = error; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  // Room for one more page, uncompressed.
  [[nodiscard]] MutableBytes room(uint64_t page_size);
  void add(PageRecord record);

 private:
  Buffer buffer_;
  size_t data_size_ = 0;
  unsigned record_count_ = 0;
  std::array<PageRecord, kChunkPages> records_{};
  PageCounts counts_;
  std::optional<Error> error_;
};

// The pages of a chunk that pass 1 kept, read back from the dump's second bitmap. Called for every
// chunk, from any thread.
using PlannedBits = std::function<Result<ChunkBits>(uint64_t first_pfn)>;

class ChunkWorker {
 public:
  static Result<ChunkWorker> create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                    CompressionOptions compression, unsigned dump_level);

  void process(const PlannedChunk& chunk, const PlannedBits& planned_bits, ChunkOutput& output);

  // Memory that one worker takes, in bytes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions compression, uint64_t page_size);

 private:
  ChunkWorker(const Vmcore& vmcore, WindowClassifier classifier, PageCompressor compressor,
              Buffer copy, bool share_zero_pages);

  void process_changed(const PlannedChunk& chunk, const ChunkBits& planned, const ChunkBits& now,
                       ChunkOutput& output);
  void process_pages(uint64_t first_pfn, const ChunkBits& bits, ChunkOutput& output);
  void process_run(uint64_t first_pfn, unsigned count, ChunkOutput& output);
  void process_page(Bytes page, ChunkOutput& output);

  const Vmcore* vmcore_;
  WindowClassifier classifier_;
  VmcoreReader reader_;
  PageCompressor compressor_;
  Buffer copy_;
  bool share_zero_pages_;
};

}  // namespace dw
