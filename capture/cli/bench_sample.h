// Part of a vmcore that stands for the whole: batches of pass 2, spread evenly over its plan. The
// same vmcore gives the same sample.
//
// Thread safety: immutable once it is taken. Ownership: holds copies of its pages.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/kernel/layout.h"
#include "capture/pipeline/page_source.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"
#include "capture/source/vmcore.h"

namespace dw {

struct ChosenChunk {
  uint64_t first_pfn;
  ChunkPriority priority;  // only so that the order stays that of the plan
};

// The chunks of evenly spread batches, at least one of them, that keep no more than `max_pages`, in
// the order of the plan; all of them if the plan has no more.
[[nodiscard]] std::vector<ChosenChunk> choose_chunks(const Plan& plan, uint64_t max_pages);

// Pages that stand next to each other, at most kRunPages, as pass 2 reads them.
struct PageRun {
  uint64_t first_pfn;
  unsigned count;
};

// The kept pages of such chunks.
[[nodiscard]] std::vector<PageRun> spread_runs(PageSource& source, const Plan& plan,
                                               uint64_t max_pages);

class BenchSample {
 public:
  struct Counts {  // pages
    uint64_t kept = 0;
    uint64_t zero = 0;
    uint64_t unreadable = 0;
    uint64_t repeated = 0;  // those that are not zero with the bytes of one before
  };

  // `plan` is that of the whole vmcore, `max_bytes` the most that is kept. Error kNoMemory.
  static Result<BenchSample> take(const Vmcore& vmcore, PageSource& source, const Plan& plan,
                                  uint64_t max_bytes);

  // Of the sampled chunks only, with digests.
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] size_t page_size() const { return page_size_; }
  // Pages that are not zero.
  [[nodiscard]] uint64_t filled_pages() const {
    return counts_.kept - counts_.zero - counts_.unreadable;
  }
  [[nodiscard]] size_t batch_count() const { return batch_ends_.size(); }
  // The pages of a batch that are not zero, one behind the other.
  [[nodiscard]] Bytes batch(size_t index) const;

 private:
  Status choose(PageSource& source, std::span<const ChosenChunk> chunks);
  Status load(PageSource& source);
  void load_run(PageSource& source, const PageRun& run, MutableBytes scratch);
  void count_repeated(uint64_t seed);

  size_t page_size_ = 0;
  Plan plan_;
  Counts counts_;
  Buffer pages_;                      // those that are not zero
  size_t used_ = 0;                   // of it, in bytes
  std::vector<uint64_t> batch_ends_;  // in pages_
};

}  // namespace dw
