// The ring of slots between the workers, which process batches, and the committer, which takes them
// in plan order. The output is the same for any number of threads.
//
// run() is called by one thread, which becomes the committer; workers are started and joined inside
// it. The first failure wins, wakes everyone and is returned. No worker can end without the
// committer seeing it: a slot that was claimed always becomes ready.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/result.h"
#include "capture/base/thread.h"
#include "capture/pipeline/batch_worker.h"
#include "capture/plan/batch.h"

namespace dw {

struct PipelineOptions {
  unsigned threads = 1;
  CodingOptions coding;
};

class Pipeline {
 public:
  // Returns where in the file the batch's data begins (of use for duplicates only).
  using Consume = std::function<Result<uint64_t>(const PlannedBatch&, const BatchOutput&)>;
  // More would work on batches too far apart to look for duplicates (duplicate_index.h), and are
  // more than any disk or network can follow.
  static constexpr unsigned kMaxThreads = 30;

  // Allocates slots and workers; with less memory than `options.threads` needs, fewer workers, but
  // at least one. At most kMaxThreads. What `sources` makes must outlive the pipeline. `page_size`
  // in bytes.
  static Result<Pipeline> create(const PageSourceFactory& sources, const PipelineOptions& options,
                                 size_t page_size);
  Pipeline(Pipeline&& other) noexcept;
  Pipeline& operator=(Pipeline&&) = delete;
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline() = default;

  [[nodiscard]] unsigned threads() const { return static_cast<unsigned>(workers_.size()); }

  // For a dump that is continued: a page with data of its own that stands in the file, in batch
  // `sequence`. Before run(), in the order in which they were stored; all of the batches that batch
  // `first_sequence` of run() may still see (DuplicateIndex::first_visible). Only of use, and only
  // allowed, with CodingOptions::share_duplicates.
  void remember(uint64_t sequence, const PageHash& hash, const DuplicateIndex::Place& place);

  // Passes each batch of the plan from `first_sequence` on to `consume`, in order, on the calling
  // thread. Returns the first error of `consume`. `planned_bits` may be empty if the plan has
  // digests. Called once. The outputs are those of a run from the first batch on.
  Status run(const Plan& plan, const PlannedBits& planned_bits, const Consume& consume,
             uint64_t first_sequence = 0);

  // Memory for `options.threads` threads, in bytes, without that of the page sources.
  [[nodiscard]] static size_t memory_bytes(const PipelineOptions& options, size_t page_size);

 private:
  struct Slot {
    enum class State : uint8_t { kFree, kClaimed, kReady };
    State state = State::kFree;
    PlannedBatch batch;
    BatchOutput output;
  };
  struct WorkerStart {
    Pipeline* pipeline;
    BatchWorker* worker;
  };

  Pipeline() = default;

  static void work(void* start);
  void work_until_done(BatchWorker& worker);
  // The next batch's slot, or null when there is none left or the pipeline stops.
  Slot* claim(std::unique_lock<std::mutex>& lock);
  Status add_slot(const PipelineOptions& options, size_t page_size);
  Status add_worker(const PageSourceFactory& sources, const PipelineOptions& options,
                    size_t page_size);
  void remove_worker();
  // As many as can be started.
  void start_threads(std::vector<WorkerStart>& starts, std::vector<Thread>& threads);
  // The whole plan on the calling thread.
  Status process_all(const Consume& consume);
  Status commit_all(const Consume& consume);
  Status commit(const Slot& slot, const Consume& consume);
  void stop();

  std::unique_ptr<DuplicateIndex> duplicates_;  // the workers point to it
  std::vector<BatchWorker> workers_;
  std::vector<Slot> slots_;

  std::mutex mutex_;
  std::condition_variable slot_freed_;
  std::condition_variable slot_ready_;
  const PlannedBits* planned_bits_ = nullptr;  // while run() runs
  std::optional<BatchCursor> cursor_;          // guarded by mutex_, as all below
  uint64_t claimed_ = 0;                       // batches handed to workers
  bool exhausted_ = false;                     // the cursor has no more
  bool stopping_ = false;
};

}  // namespace dw
