#include "capture/pipeline/batch_worker.h"

#include <algorithm>
#include <utility>

namespace dw {

namespace {

bool test(const ChunkBits& bits, unsigned bit) { return (bits[bit / 64] >> (bit % 64) & 1) != 0; }

struct Run {
  unsigned begin;
  unsigned count;
  bool there;  // kept now as well
};

// The first run of planned pages at or after `from` that are all kept now, or all not, cut at
// kRunPages; empty if there is none.
Run next_run(const ChunkBits& planned, const ChunkBits& now, unsigned from) {
  while (from < kChunkPages && !test(planned, from)) ++from;
  Run run{.begin = from, .count = 0, .there = from < kChunkPages && test(now, from)};
  for (; from < kChunkPages && run.count < kRunPages; ++from, ++run.count)
    if (!test(planned, from) || test(now, from) != run.there) break;
  return run;
}

}  // namespace

Result<BatchWorker> BatchWorker::create(const PageSourceFactory& sources,
                                        const CodingOptions& options, size_t page_size,
                                        const DuplicateIndex* duplicates) {
  DW_ASSIGN(std::unique_ptr<PageSource> source, sources());
  DW_ASSIGN(std::unique_ptr<BatchCoder> coder, make_batch_coder(options, page_size, duplicates));
  return BatchWorker(std::move(source), std::move(coder));
}

void BatchWorker::process(const PlannedBatch& batch, const PlannedBits& planned_bits,
                          BatchOutput& output) {
  output.clear();
  coder_->begin(batch);
  for (const PlannedChunk& chunk : batch.chunks()) process_chunk(chunk, planned_bits, output);
  coder_->finish(output);
  output.finish();
  DW_CHECK(output.records().size() == batch.pages());
}

// Memory may have changed between the passes. The places of pages are those of pass 1: a page that
// is kept now but was not then is left out, one that may not be read now is missing. A count would
// not do here: pages that change places would get each other's descriptors.
void BatchWorker::process_chunk(const PlannedChunk& chunk, const PlannedBits& planned_bits,
                                BatchOutput& output) {
  ChunkBits now = source_->judge(chunk.first_pfn);
  ChunkBits planned = settle(chunk, now, planned_bits, output);
  bool known = planned != ChunkBits{};
  output.begin_chunk(planned);
  if (!known || planned != now) output.count_changed_chunk();
  if (!known)
    skip_pages(chunk.kept, output);
  else
    copy_pages(chunk.first_pfn, planned, now, output);
}

ChunkBits BatchWorker::settle(const PlannedChunk& chunk, const ChunkBits& now,
                              const PlannedBits& planned_bits, BatchOutput& output) {
  if (!planned_bits) {
    bool same = count_bits(now) == chunk.kept && digest_of(now) == chunk.digest;
    return same ? now : ChunkBits{};
  }
  Result<ChunkBits> planned = planned_bits(chunk.first_pfn);
  if (planned.ok() && count_bits(*planned) == chunk.kept) return *planned;
  // Without the bitmap no page has a known place: all of them are missing rather than wrong.
  output.fail(planned.ok() ? Error(ErrorKind::kIo, "the dump's bitmap is not what was written")
                                 .at(Where::kPfn, chunk.first_pfn)
                           : planned.error());
  return {};
}

void BatchWorker::copy_pages(uint64_t first_pfn, const ChunkBits& planned, const ChunkBits& now,
                             BatchOutput& output) {
  for (Run run = next_run(planned, now, 0); run.count > 0;
       run = next_run(planned, now, run.begin + run.count)) {
    if (!run.there) {
      skip_pages(run.count, output);
      continue;
    }
    uint64_t readable =
        source_->read_pages(first_pfn + run.begin, run.count, coder_->room(run.count));
    coder_->add(run.count, readable, output);
  }
}

void BatchWorker::skip_pages(unsigned count, BatchOutput& output) {
  while (count > 0) {
    unsigned n = std::min(count, kRunPages);
    (void)coder_->room(n);
    coder_->add(n, 0, output);
    count -= n;
  }
}

}  // namespace dw
