#include "capture/pipeline/pipeline.h"

#include <utility>

namespace dw {

namespace {

// Two slots a thread: one being filled, one waiting for its turn.
constexpr size_t kSlotsPerThread = 2;

constexpr size_t slot_count(unsigned threads) { return kSlotsPerThread * threads; }

}  // namespace

size_t Pipeline::memory_bytes(const PipelineOptions& options, uint64_t page_size) {
  size_t slots = slot_count(options.threads) * (kChunkPages * page_size + sizeof(Slot));
  return slots + options.threads * ChunkWorker::memory_bytes(options.compression, page_size);
}

Result<Pipeline> Pipeline::create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                  const PipelineOptions& options) {
  DW_CHECK(options.threads >= 1);
  Pipeline pipeline;
  pipeline.workers_.reserve(options.threads);
  pipeline.slots_.reserve(slot_count(options.threads));
  for (unsigned i = 0; i < options.threads; ++i) {
    Status added = pipeline.add_worker(vmcore, layout, options);
    if (added.ok()) continue;
    if (i == 0) return added.error();
    // What was left is gone now: give some back to whoever else needs memory.
    if (i > 1) pipeline.remove_worker();
    break;
  }
  return pipeline;
}

Status Pipeline::add_worker(const Vmcore& vmcore, const VmcoreLayout& layout,
                            const PipelineOptions& options) {
  DW_ASSIGN(ChunkWorker worker,
            ChunkWorker::create(vmcore, layout, options.compression, options.dump_level));
  DW_ASSIGN(ChunkOutput first, ChunkOutput::create(vmcore.page_size()));
  DW_ASSIGN(ChunkOutput second, ChunkOutput::create(vmcore.page_size()));
  workers_.push_back(std::move(worker));
  for (ChunkOutput* output : {&first, &second}) {
    slots_.emplace_back();
    slots_.back().output = std::move(*output);
  }
  return {};
}

void Pipeline::remove_worker() {
  workers_.pop_back();
  for (size_t i = 0; i < kSlotsPerThread; ++i) slots_.pop_back();
}

Pipeline::Pipeline(Pipeline&& other) noexcept
    : workers_(std::move(other.workers_)), slots_(std::move(other.slots_)) {
  DW_CHECK(!other.cursor_);  // not once it ran
}

Status Pipeline::run(const Plan& plan, const PlannedBits& planned_bits, const Consume& consume) {
  DW_CHECK(!cursor_);
  cursor_.emplace(plan);
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
  for (ChunkWorker& worker : workers_) {
    starts.push_back({.pipeline = this, .worker = &worker});
    Result<Thread> thread = Thread::start(work, &starts.back());
    if (!thread.ok()) return;
    threads.push_back(std::move(*thread));
  }
}

Status Pipeline::process_all(const Consume& consume) {
  ChunkOutput& output = slots_[0].output;
  while (std::optional<PlannedChunk> chunk = cursor_->next()) {
    workers_[0].process(*chunk, *planned_bits_, output);
    DW_TRY(consume(*chunk, output));
  }
  return {};
}

void Pipeline::work(void* start) {
  auto* what = static_cast<WorkerStart*>(start);
  what->pipeline->work_until_done(*what->worker);
}

void Pipeline::work_until_done(ChunkWorker& worker) {
  std::unique_lock lock(mutex_);
  while (Slot* slot = claim(lock)) {
    lock.unlock();
    worker.process(slot->chunk, *planned_bits_, slot->output);
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
  std::optional<PlannedChunk> chunk = cursor_->next();
  if (!chunk) {
    exhausted_ = true;
    slot_freed_.notify_all();
    slot_ready_.notify_one();
    return nullptr;
  }
  Slot& slot = slots_[claimed_++ % slots_.size()];
  slot.state = Slot::State::kClaimed;
  slot.chunk = *chunk;
  return &slot;
}

Status Pipeline::commit_all(const Consume& consume) {
  for (uint64_t sequence = 0;; ++sequence) {
    Slot& slot = slots_[sequence % slots_.size()];
    {
      std::unique_lock lock(mutex_);
      slot_ready_.wait(lock, [&] {
        bool finished = exhausted_ && sequence == claimed_;
        return finished || slot.state == Slot::State::kReady;
      });
      if (slot.state != Slot::State::kReady) return {};
    }
    DW_TRY(consume(slot.chunk, slot.output));
    std::lock_guard lock(mutex_);
    slot.state = Slot::State::kFree;
    slot_freed_.notify_one();
  }
}

void Pipeline::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  slot_freed_.notify_all();
}

}  // namespace dw
