// Pass 2 for one chunk: copy each kept page once, test it for zeros, compress it.
//
// One ChunkWorker per thread; it owns its window on the vmcore, its copy buffer and its compressor.
// Everything is allocated by create(); process() cannot fail as a whole: a page that cannot be read
// is a missing page.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/codec/page_compressor.h"
#include "capture/pipeline/page_record.h"
#include "capture/plan/plan.h"
#include "capture/source/vmcore.h"

namespace dw {

struct PageCounts {
  uint64_t stored = 0;
  uint64_t zero = 0;
  uint64_t missing = 0;

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
  // Room for one more page, uncompressed.
  [[nodiscard]] MutableBytes room(uint64_t page_size);
  void add(PageRecord record);

 private:
  Buffer buffer_;
  size_t data_size_ = 0;
  unsigned record_count_ = 0;
  std::array<PageRecord, kChunkPages> records_{};
  PageCounts counts_;
};

class ChunkWorker {
 public:
  // `share_zero_pages`: dump level bit 1.
  static Result<ChunkWorker> create(const Vmcore& vmcore, CompressionOptions compression,
                                    bool share_zero_pages);

  void process(const PlannedChunk& chunk, ChunkOutput& output);

  // Memory that one worker takes, in bytes.
  [[nodiscard]] static size_t memory_bytes(CompressionOptions compression, uint64_t page_size);

 private:
  ChunkWorker(const Vmcore& vmcore, PageCompressor compressor, Buffer copy, bool share_zero_pages);

  void process_run(uint64_t first_pfn, unsigned count, ChunkOutput& output);
  void process_page(Bytes page, ChunkOutput& output);

  const Vmcore* vmcore_;
  VmcoreReader reader_;
  PageCompressor compressor_;
  Buffer copy_;
  bool share_zero_pages_;
};

}  // namespace dw
