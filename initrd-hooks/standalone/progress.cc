#include "initrd-hooks/standalone/progress.h"

#include <sys/mman.h>

#include <new>

#include "capture/base/clock.h"

namespace dw {

static_assert(std::atomic<Step>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

namespace {

// Anything else can stand there too: a child gone wild shares the memory.
uint32_t rank(CaptureStatus status) {
  constexpr uint32_t kRank[] = {0, 2, 3, 1};
  auto at = static_cast<uint32_t>(status);
  return at < std::size(kRank) ? kRank[at] : 4;
}

}  // namespace

const char* name_of(Step step) {
  constexpr const char* kNames[] = {"loading modules", "making the targets ready", "capturing",
                                    "unmounting"};
  auto at = static_cast<uint32_t>(step);
  return at < std::size(kNames) ? kNames[at] : "an unknown step";
}

const char* outcome_text(const SharedProgress& progress) {
  if (progress.best() == CaptureStatus::kComplete) return "the dump is complete";
  if (progress.best() != CaptureStatus::kIncomplete) return kNoDump;
  if (progress.has_pages) return "an incomplete dump was saved";
  if (progress.has_log) return "only vmcore-dmesg.txt was saved, and a dump without pages";
  return "only a dump without pages was saved";
}

int64_t shared_clock_ms() {
  // Signed, because the supervisor subtracts moments that may not have come yet.
  return static_cast<int64_t>(monotonic_ms());
}

CaptureStatus better_of(CaptureStatus a, CaptureStatus b) { return rank(a) <= rank(b) ? a : b; }

Result<SharedProgress*> SharedProgress::make_shared() {
  void* page = ::mmap(nullptr, sizeof(SharedProgress), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Error::from_errno("cannot share memory with the capture");
  return new (page) SharedProgress;
}

}  // namespace dw
