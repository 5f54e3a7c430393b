#include "capture/cli/bench_sample.h"

#include <algorithm>

#include "capture/codec/zero.h"
#include "capture/pipeline/batch_coder.h"
#include "capture/pipeline/duplicate_index.h"

namespace dw {

namespace {

uint64_t count_batches(const Plan& plan) {
  BatchCursor cursor(plan);
  PlannedBatch batch;
  uint64_t count = 0;
  while (cursor.next(batch)) ++count;
  return count;
}

// The plan does not tell priorities. Within one, addresses ascend: where they do not, the next one
// has begun. Where they go on ascending, taking both for one keeps the order all the same.
class PriorityGuess {
 public:
  ChunkPriority next(uint64_t first_pfn) {
    if (first_pfn < last_pfn_) ++priority_;
    DW_CHECK(priority_ < kPriorityCount);
    last_pfn_ = first_pfn;
    return static_cast<ChunkPriority>(priority_);
  }

 private:
  uint64_t last_pfn_ = 0;
  unsigned priority_ = 0;
};

void add_runs(uint64_t first_pfn, const ChunkBits& bits, std::vector<PageRun>& runs) {
  bool open = false;  // the last run ends right before this page
  for (unsigned i = 0; i < kChunkPages; ++i) {
    bool kept = (bits[i / 64] >> (i % 64) & 1) != 0;
    if (kept && open && runs.back().count < kRunPages)
      ++runs.back().count;
    else if (kept)
      runs.push_back({.first_pfn = first_pfn + i, .count = 1});
    open = kept;
  }
}

}  // namespace

std::vector<ChosenChunk> choose_chunks(const Plan& plan, uint64_t max_pages) {
  uint64_t there = count_batches(plan);
  uint64_t wanted = std::min(there, std::max<uint64_t>(1, max_pages / kBatchPages));
  std::vector<ChosenChunk> chosen;
  BatchCursor cursor(plan);
  PlannedBatch batch;
  PriorityGuess priority;
  for (uint64_t i = 0; cursor.next(batch); ++i) {
    // Of `there` batches exactly `wanted` satisfy this.
    bool take = i * wanted / there != (i + 1) * wanted / there;
    for (const PlannedChunk& chunk : batch.chunks()) {
      ChunkPriority own = priority.next(chunk.first_pfn);
      if (take) chosen.push_back({.first_pfn = chunk.first_pfn, .priority = own});
    }
  }
  return chosen;
}

std::vector<PageRun> spread_runs(PageSource& source, const Plan& plan, uint64_t max_pages) {
  std::vector<PageRun> runs;
  for (const ChosenChunk& chunk : choose_chunks(plan, max_pages))
    add_runs(chunk.first_pfn, source.judge(chunk.first_pfn), runs);
  return runs;
}

Result<BenchSample> BenchSample::take(const Vmcore& vmcore, PageSource& source, const Plan& plan,
                                      uint64_t max_bytes) {
  BenchSample sample;
  sample.page_size_ = vmcore.page_size();
  DW_TRY(sample.choose(source, choose_chunks(plan, max_bytes / sample.page_size_)));
  DW_TRY(sample.load(source));
  sample.count_repeated(hash_seed_of(vmcore.headers().notes));
  return sample;
}

// Judges the chosen chunks and makes a plan in which all others keep nothing.
Status BenchSample::choose(PageSource& source, std::span<const ChosenChunk> chunks) {
  struct Window {
    std::vector<uint64_t> kept = std::vector<uint64_t>(kWindowWords);
    std::vector<ChunkPriority> priorities =
        std::vector<ChunkPriority>(kWindowChunks, ChunkPriority::kOther);
  };
  std::vector<uint64_t> indexes;
  for (const ChosenChunk& chunk : chunks) indexes.push_back(chunk.first_pfn / kWindowPages);
  std::ranges::sort(indexes);
  indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
  DW_ASSIGN(PlanBuilder builder, PlanBuilder::create(indexes, true));

  std::vector<ChosenChunk> sorted(chunks.begin(), chunks.end());
  std::ranges::sort(sorted, {}, &ChosenChunk::first_pfn);
  auto chunk = sorted.begin();
  for (size_t i = 0; i < indexes.size(); ++i) {
    Window window;
    for (; chunk != sorted.end() && chunk->first_pfn / kWindowPages == indexes[i]; ++chunk) {
      size_t at = chunk->first_pfn % kWindowPages / kChunkPages;
      ChunkBits bits = source.judge(chunk->first_pfn);
      std::ranges::copy(bits, window.kept.begin() + static_cast<ptrdiff_t>(at * bits.size()));
      window.priorities[at] = chunk->priority;
    }
    builder.set_window(i, window.kept, window.priorities);
  }
  plan_ = std::move(builder).finish();
  return {};
}

Status BenchSample::load(PageSource& source) {
  if (plan_.kept_pages() == 0) return {};
  DW_ASSIGN(pages_, Buffer::allocate(plan_.kept_pages() * page_size_));
  DW_ASSIGN(Buffer scratch, Buffer::allocate(kRunPages * page_size_));
  BatchCursor cursor(plan_);
  PlannedBatch batch;
  while (cursor.next(batch)) {
    for (const PlannedChunk& chunk : batch.chunks()) {
      ChunkBits bits = source.judge(chunk.first_pfn);
      // Memory may change under us; what the plan has not counted has no room.
      if (count_bits(bits) != chunk.kept) continue;
      std::vector<PageRun> runs;
      add_runs(chunk.first_pfn, bits, runs);
      for (const PageRun& run : runs) load_run(source, run, scratch.bytes());
    }
    batch_ends_.push_back(used_);
  }
  return {};
}

void BenchSample::load_run(PageSource& source, const PageRun& run, MutableBytes scratch) {
  MutableBytes into = scratch.first(run.count * page_size_);
  uint64_t readable = source.read_pages(run.first_pfn, run.count, into);
  counts_.kept += run.count;
  for (unsigned i = 0; i < run.count; ++i) {
    Bytes page = into.subspan(i * page_size_, page_size_);
    if ((readable >> i & 1) == 0) {
      ++counts_.unreadable;
    } else if (is_zero(page)) {
      ++counts_.zero;
    } else {
      std::ranges::copy(page, pages_.bytes().subspan(used_).begin());
      used_ += page_size_;
    }
  }
}

void BenchSample::count_repeated(uint64_t seed) {
  std::vector<std::pair<uint64_t, uint64_t>> hashes;
  hashes.reserve(used_ / std::max<size_t>(1, page_size_));
  for (size_t at = 0; at < used_; at += page_size_) {
    PageHash hash = hash_of(std::as_const(pages_).bytes().subspan(at, page_size_), seed);
    hashes.emplace_back(hash.low, hash.high);
  }
  std::ranges::sort(hashes);
  counts_.repeated =
      static_cast<uint64_t>(hashes.end() - std::unique(hashes.begin(), hashes.end()));
}

Bytes BenchSample::batch(size_t index) const {
  uint64_t begin = index == 0 ? 0 : batch_ends_[index - 1];
  return pages_.bytes().subspan(begin, batch_ends_[index] - begin);
}

}  // namespace dw
