#include "capture/pipeline/pipeline.h"

#include <utility>

namespace dw {

namespace {

// One for each worker to fill, and some that wait for their turn while the committer writes.
constexpr size_t kWaitingSlots = 2;

}  // namespace

size_t Pipeline::memory_bytes(const PipelineOptions& options, size_t page_size) {
  size_t slot = batch_data_bytes(options.coding, page_size) + sizeof(Slot);
  size_t duplicates = options.coding.share_duplicates ? DuplicateIndex::memory_bytes() : 0;
  return duplicates + (options.threads + kWaitingSlots) * slot +
         options.threads * batch_coder_memory_bytes(options.coding, page_size);
}

Result<Pipeline> Pipeline::create(const PageSourceFactory& sources, const PipelineOptions& options,
                                  size_t page_size) {
  DW_CHECK(options.threads >= 1 && options.threads <= kMaxThreads);
  static_assert(kMaxThreads + kWaitingSlots <= DuplicateIndex::kDistance);
  static_assert(kBatchPages <= DuplicateIndex::kBatchEntries);
  Pipeline pipeline;
  if (options.coding.share_duplicates) {
    DW_ASSIGN(DuplicateIndex duplicates, DuplicateIndex::create());
    pipeline.duplicates_ = std::make_unique<DuplicateIndex>(std::move(duplicates));
  }
  pipeline.workers_.reserve(options.threads);
  pipeline.slots_.reserve(options.threads + kWaitingSlots);
  for (size_t i = 0; i < kWaitingSlots; ++i) DW_TRY(pipeline.add_slot(options, page_size));
  for (unsigned i = 0; i < options.threads; ++i) {
    Status added = pipeline.add_worker(sources, options, page_size);
    if (added.ok()) continue;
    if (i == 0) return added.error();
    // What was left is gone now: give some back to whoever else needs memory.
    if (i > 1) pipeline.remove_worker();
    break;
  }
  return pipeline;
}

Status Pipeline::add_slot(const PipelineOptions& options, size_t page_size) {
  DW_ASSIGN(BatchOutput output, BatchOutput::create(batch_data_bytes(options.coding, page_size)));
  slots_.emplace_back();
  slots_.back().output = std::move(output);
  return {};
}

Status Pipeline::add_worker(const PageSourceFactory& sources, const PipelineOptions& options,
                            size_t page_size) {
  DW_ASSIGN(BatchWorker worker,
            BatchWorker::create(sources, options.coding, page_size, duplicates_.get()));
  DW_TRY(add_slot(options, page_size));
  workers_.push_back(std::move(worker));
  return {};
}

void Pipeline::remove_worker() {
  workers_.pop_back();
  slots_.pop_back();
}

Pipeline::Pipeline(Pipeline&& other) noexcept
    : duplicates_(std::move(other.duplicates_)),
      workers_(std::move(other.workers_)),
      slots_(std::move(other.slots_)) {
  DW_CHECK(!other.cursor_);  // not once it ran
}

void Pipeline::remember(uint64_t sequence, const PageHash& hash,
                        const DuplicateIndex::Place& place) {
  DW_CHECK(duplicates_ && !cursor_);
  duplicates_->add(sequence, hash, place);
}

Status Pipeline::run(const Plan& plan, const PlannedBits& planned_bits, const Consume& consume,
                     uint64_t first_sequence) {
  DW_CHECK(!cursor_);
  DW_CHECK(planned_bits || plan.has_digests());
  cursor_.emplace(plan, first_sequence);
  if (duplicates_ && first_sequence > 0) duplicates_->end_batch(first_sequence - 1);
  planned_bits_ = &planned_bits;
  std::vector<WorkerStart> starts;
  std::vector<Thread> threads;
  start_threads(starts, threads);
  // Without a single thread the dump is written all the same, only slower.
  Status status = threads.empty() ? process_all(consume) : commit_all(consume);
  stop();
  for (Thread& thread : threads) thread.join();
  return status;
}

void Pipeline::start_threads(std::vector<WorkerStart>& starts, std::vector<Thread>& threads) {
  starts.reserve(workers_.size());
  threads.reserve(workers_.size());
  for (BatchWorker& worker : workers_) {
    starts.push_back({.pipeline = this, .worker = &worker});
    Result<Thread> thread = Thread::start(work, &starts.back());
    if (!thread.ok()) return;
    threads.push_back(std::move(*thread));
  }
}

Status Pipeline::process_all(const Consume& consume) {
  Slot& slot = slots_[0];
  while (cursor_->next(slot.batch)) {
    workers_[0].process(slot.batch, *planned_bits_, slot.output);
    DW_TRY(commit(slot, consume));
  }
  return {};
}

void Pipeline::work(void* start) {
  auto* what = static_cast<WorkerStart*>(start);
  what->pipeline->work_until_done(*what->worker);
}

void Pipeline::work_until_done(BatchWorker& worker) {
  std::unique_lock lock(mutex_);
  while (Slot* slot = claim(lock)) {
    lock.unlock();
    worker.process(slot->batch, *planned_bits_, slot->output);
    lock.lock();
    slot->state = Slot::State::kReady;
    slot_ready_.notify_one();
  }
}

Pipeline::Slot* Pipeline::claim(std::unique_lock<std::mutex>& lock) {
  // Another worker may claim this slot while we wait, so the slot is looked up each time.
  slot_freed_.wait(lock, [&] {
    return stopping_ || exhausted_ || slots_[claimed_ % slots_.size()].state == Slot::State::kFree;
  });
  if (stopping_ || exhausted_) return nullptr;
  Slot& slot = slots_[claimed_ % slots_.size()];
  if (!cursor_->next(slot.batch)) {
    exhausted_ = true;
    slot_freed_.notify_all();
    slot_ready_.notify_one();
    return nullptr;
  }
  ++claimed_;
  slot.state = Slot::State::kClaimed;
  return &slot;
}

Status Pipeline::commit_all(const Consume& consume) {
  for (uint64_t committed = 0;; ++committed) {
    Slot& slot = slots_[committed % slots_.size()];
    {
      std::unique_lock lock(mutex_);
      slot_ready_.wait(lock, [&] {
        bool finished = exhausted_ && committed == claimed_;
        return finished || slot.state == Slot::State::kReady;
      });
      if (slot.state != Slot::State::kReady) return {};
    }
    DW_TRY(commit(slot, consume));
    std::lock_guard lock(mutex_);
    slot.state = Slot::State::kFree;
    slot_freed_.notify_one();
  }
}

// Before the slot is freed, so that every worker that may look for them sees the batch's pages.
Status Pipeline::commit(const Slot& slot, const Consume& consume) {
  DW_ASSIGN(uint64_t begin, consume(slot.batch, slot.output));
  if (!duplicates_) return {};
  std::span<const PageRecord> records = slot.output.records();
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].state != PageState::kStored) continue;
    duplicates_->add(slot.batch.sequence(), slot.output.hash(i),
                     {.where = begin + records[i].where, .size = records[i].size});
  }
  duplicates_->end_batch(slot.batch.sequence());
  return {};
}

void Pipeline::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  slot_freed_.notify_all();
}

}  // namespace dw
