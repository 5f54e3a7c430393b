#include "capture/plan/pass_one.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "capture/base/thread.h"
#include "capture/kernel/important_pages.h"
#include "capture/plan/presence.h"

namespace dw {

namespace {

// What the threads of one run share.
struct Run {
  Run(const Vmcore& vmcore_in, const WindowBitmaps& bitmaps_in,
      std::span<const PfnRange> essential_in, PlanBuilder& builder_in, bool in_order_in)
      : vmcore(vmcore_in),
        bitmaps(bitmaps_in),
        essential(essential_in),
        builder(builder_in),
        in_order(in_order_in) {}

  const Vmcore& vmcore;
  const WindowBitmaps& bitmaps;
  std::span<const PfnRange> essential;
  PlanBuilder& builder;
  const bool in_order;
  std::atomic<size_t> next_window{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::condition_variable handed_out;
  size_t in_turn = 0;          // guarded by mutex; the window whose bitmaps come next
  ClassCounts counts;          // guarded by mutex
  std::optional<Error> error;  // guarded by mutex; the first one
};

struct Job {
  Run* run;
  WindowClassifier* classifier;
};

ChunkPriority near_priority(unsigned distance) {
  static_assert(static_cast<unsigned>(ChunkPriority::kNear3) == kMaxDistance);
  return static_cast<ChunkPriority>(distance);
}

void mark_essential(std::span<const PfnRange> essential, uint64_t first_pfn,
                    std::span<ChunkPriority> priorities) {
  uint64_t end_pfn = first_pfn + kWindowPages;
  auto range = std::ranges::upper_bound(essential, first_pfn, {}, &PfnRange::end);
  for (; range != essential.end() && range->begin < end_pfn; ++range) {
    uint64_t first = (std::max(range->begin, first_pfn) - first_pfn) / kChunkPages;
    uint64_t last = (std::min(range->end, end_pfn) - 1 - first_pfn) / kChunkPages;
    std::ranges::fill(priorities.subspan(first, last - first + 1), ChunkPriority::kEssential);
  }
}

// Windows are claimed in order, so the one in turn is always being judged by somebody.
Status hand_out(Run& run, size_t window, Bytes present, MutableBytes kept) {
  uint64_t first_pfn = run.builder.first_pfn(window);
  if (!run.in_order) return run.bitmaps(first_pfn, present, kept);
  std::unique_lock lock(run.mutex);
  run.handed_out.wait(lock, [&] { return run.in_turn == window || run.failed; });
  if (run.failed) return {};
  Status status = run.bitmaps(first_pfn, present, kept);
  ++run.in_turn;
  if (!status.ok()) run.failed = true;
  run.handed_out.notify_all();
  return status;
}

Status judge_window(Run& run, size_t window, WindowClassifier& classifier, ClassCounts& counts) {
  uint64_t first_pfn = run.builder.first_pfn(window);
  std::array<uint64_t, kWindowWords> kept;
  std::array<bool, kWindowChunks> kernel_chunks;
  classifier.classify(first_pfn, kWindowPages, kept, counts, kernel_chunks);

  std::array<ChunkPriority, kWindowChunks> priorities;
  std::ranges::transform(kernel_chunks, priorities.begin(), [](bool kernel) {
    return kernel ? ChunkPriority::kKernel : ChunkPriority::kOther;
  });
  mark_essential(run.essential, first_pfn, priorities);

  std::array<std::byte, kWindowPages / 8> present;
  present_bits(run.vmcore.memory(), first_pfn, present);
  DW_TRY(hand_out(run, window, present, std::as_writable_bytes(std::span(kept))));
  run.builder.set_window(window, kept, priorities);
  return {};
}

void judge_windows(Run& run, WindowClassifier& classifier) {
  ClassCounts counts;
  std::optional<Error> error;
  size_t count = run.builder.window_count();
  for (size_t window = run.next_window++; window < count && !run.failed;
       window = run.next_window++) {
    Status judged = judge_window(run, window, classifier, counts);
    if (judged.ok()) continue;
    error = judged.error();
    run.failed = true;
  }
  std::lock_guard lock(run.mutex);
  run.counts += counts;
  if (error && !run.error) run.error = error;
}

void work(void* job) {
  judge_windows(*static_cast<Job*>(job)->run, *static_cast<Job*>(job)->classifier);
}

}  // namespace

Result<PassOne> PassOne::create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                unsigned dump_level, unsigned threads) {
  DW_CHECK(threads >= 1);
  DW_ASSIGN(NearPages near_pages, NearPages::create());
  PassOne pass(vmcore, layout, std::move(near_pages));
  pass.classifiers_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) {
    Result<WindowClassifier> classifier = WindowClassifier::create(vmcore, layout, dump_level);
    if (!classifier.ok() && i == 0) return classifier.error();
    if (!classifier.ok()) break;
    pass.classifiers_.push_back(std::move(*classifier));
  }
  return pass;
}

Result<PassOneResult> PassOne::run(const WindowBitmaps& bitmaps, const PassOneOptions& options) {
  DW_ASSIGN(PlanBuilder builder, PlanBuilder::create(vmcore_->memory(), options.with_digests));
  ImportantPages important = find_important_pages(*vmcore_, *layout_);
  near_pages_.find(*vmcore_, *layout_, [&](uint64_t pfn, unsigned distance) {
    builder.prefer(pfn, near_priority(distance));
  });
  Run run(*vmcore_, bitmaps, important.ranges, builder, options.in_order);
  // The calling thread does its share, so a thread that cannot be started only makes it slower.
  std::vector<Job> jobs;
  std::vector<Thread> threads;
  jobs.reserve(classifiers_.size());
  threads.reserve(classifiers_.size());
  for (size_t i = 1; i < classifiers_.size(); ++i) {
    jobs.push_back({.run = &run, .classifier = &classifiers_[i]});
    Result<Thread> thread = Thread::start(work, &jobs.back());
    if (!thread.ok()) break;
    threads.push_back(std::move(*thread));
  }
  judge_windows(run, classifiers_[0]);
  for (Thread& thread : threads) thread.join();
  if (run.error) return *run.error;
  return PassOneResult{
      .plan = std::move(builder).finish(), .counts = run.counts, .essential_cut = important.cut};
}

}  // namespace dw
