#include "capture/pipeline/pipeline.h"

#include <utility>

namespace dw {

namespace {

// Two slots a thread: one being filled, one waiting for its turn.
constexpr size_t slot_count(unsigned threads) { return 2 * static_cast<size_t>(threads); }

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
    Result<ChunkWorker> worker =
        ChunkWorker::create(vmcore, layout, options.compression, options.dump_level);
    Result<ChunkOutput> first = ChunkOutput::create(vmcore.page_size());
    Result<ChunkOutput> second = ChunkOutput::create(vmcore.page_size());
    bool all = worker.ok() && first.ok() && second.ok();
    if (!all && i == 0) {
      return !worker.ok() ? worker.error() : !first.ok() ? first.error() : second.error();
    }
    if (!all) break;
    pipeline.workers_.push_back(std::move(*worker));
    for (Result<ChunkOutput>* output : {&first, &second}) {
      pipeline.slots_.emplace_back();
      pipeline.slots_.back().output = std::move(**output);
    }
  }
  return pipeline;
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
  Status status = start_threads(starts, threads);
  if (status.ok()) status = commit_all(consume);
  stop();
  for (Thread& thread : threads) thread.join();
  return status;
}

Status Pipeline::start_threads(std::vector<WorkerStart>& starts, std::vector<Thread>& threads) {
  starts.reserve(workers_.size());
  threads.reserve(workers_.size());
  for (ChunkWorker& worker : workers_) {
    starts.push_back({.pipeline = this, .worker = &worker});
    Result<Thread> thread = Thread::start(work, &starts.back());
    // With one thread running the dump goes on, only slower.
    if (!thread.ok() && threads.empty()) return thread.error();
    if (!thread.ok()) break;
    threads.push_back(std::move(*thread));
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
