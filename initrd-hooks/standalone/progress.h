// How far the capturing child has come: one page of memory that it shares with process 1.
//
// Process 1 reads it to tell a long capture (which may take hours) from a step that hangs, and a
// second child reads it to go on behind the module or the target that ended the first.
// Thread safety: written by the child, read by its parent; every field is atomic.
#pragma once

#include <atomic>

#include "capture/base/result.h"

namespace dw {

enum class Step : uint32_t { kModules, kNetwork, kDevice, kMount, kCapture, kSync, kUnmount };

[[nodiscard]] const char* name_of(Step step);

// What a capture ends with (its exit status); kNone: it has not ended yet.
enum class CaptureStatus : uint32_t {
  kComplete = 0,
  kNothing = 1,
  kUsage = 2,
  kIncomplete = 3,
  kNone = 4
};

// For people: "the dump is complete".
[[nodiscard]] const char* outcome_text(CaptureStatus status);

// Never goes back, and is the same in every process.
[[nodiscard]] int64_t shared_clock_ms();

// The better of two: complete, incomplete, nothing, usage, none.
[[nodiscard]] CaptureStatus better_of(CaptureStatus a, CaptureStatus b);

class SharedProgress {
 public:
  // Memory that stays shared over fork(2). It is never given back: there is one per boot.
  static Result<SharedProgress*> make_shared();

  void enter(Step step) {
    step_ = step;
    beats_++;
  }
  void record(CaptureStatus status) { best_ = better_of(best_, status); }

  // The capture has its own signs of life: it may take hours, but not without any of them.
  void begin_capture() {
    published_ = false;
    beat();
    enter(Step::kCapture);
  }
  void beat() { last_beat_ms_ = shared_clock_ms(); }
  void publish() {
    published_ = true;
    beat();
  }
  // It ended by itself: its status says what became of what it published.
  void end_capture(CaptureStatus status) {
    published_ = false;
    record(status);
  }
  // For process 1, once the child is gone: what was published and never ended is incomplete.
  void keep_published() {
    if (published_.exchange(false)) record(CaptureStatus::kIncomplete);
  }

  [[nodiscard]] Step step() const { return step_; }
  // Changes whenever a step begins.
  [[nodiscard]] uint32_t beats() const { return beats_; }
  [[nodiscard]] CaptureStatus best() const { return best_; }
  [[nodiscard]] int64_t last_beat_ms() const { return last_beat_ms_; }

  // Both count from 0. A module or target whose number is lower is not tried again.
  std::atomic<uint32_t> next_module{0};
  std::atomic<uint32_t> next_target{0};
  // Children that were started before this one.
  std::atomic<uint32_t> restarts{0};
  // Captures that were killed because they stalled; they are not among the restarts.
  std::atomic<uint32_t> stalls{0};

 private:
  std::atomic<Step> step_{Step::kModules};
  std::atomic<uint32_t> beats_{0};
  std::atomic<CaptureStatus> best_{CaptureStatus::kNone};
  std::atomic<int64_t> last_beat_ms_{0};
  std::atomic<bool> published_{false};
};

}  // namespace dw
