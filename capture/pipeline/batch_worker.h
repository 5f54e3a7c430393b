// Pass 2 for one batch: judge its chunks again, copy each kept page once, hand it to the coder.
//
// One BatchWorker per thread. Everything is allocated by create(); process() cannot fail as a
// whole: a page that cannot be read is a missing page, and where the pages to keep are no longer
// those of pass 1, the plan holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "capture/base/result.h"
#include "capture/pipeline/batch_coder.h"
#include "capture/pipeline/batch_output.h"
#include "capture/pipeline/page_source.h"
#include "capture/plan/batch.h"

namespace dw {

// The pages of a chunk that pass 1 kept, read back from the dump's second bitmap. Called for every
// chunk, from any thread. Empty where the bitmap cannot be read back: the plan has digests then,
// and a chunk that changed has no page whose place is known.
using PlannedBits = std::function<Result<ChunkBits>(uint64_t first_pfn)>;

class BatchWorker {
 public:
  static Result<BatchWorker> create(const PageSourceFactory& sources, const CodingOptions& options,
                                    size_t page_size, const DuplicateIndex* duplicates);

  // Leaves one record for each page of the batch in `output`.
  void process(const PlannedBatch& batch, const PlannedBits& planned_bits, BatchOutput& output);

 private:
  BatchWorker(std::unique_ptr<PageSource> source, std::unique_ptr<BatchCoder> coder)
      : source_(std::move(source)), coder_(std::move(coder)) {}

  // The pages of the chunk as pass 1 saw them; an empty set if that cannot be told.
  static ChunkBits settle(const PlannedChunk& chunk, const ChunkBits& now,
                          const PlannedBits& planned_bits, BatchOutput& output);
  void process_chunk(const PlannedChunk& chunk, const PlannedBits& planned_bits,
                     BatchOutput& output);
  void copy_pages(uint64_t first_pfn, const ChunkBits& planned, const ChunkBits& now,
                  BatchOutput& output);
  void skip_pages(unsigned count, BatchOutput& output);

  std::unique_ptr<PageSource> source_;
  std::unique_ptr<BatchCoder> coder_;
};

}  // namespace dw
