// How far the capturing child has come: one page of memory that it shares with process 1.
//
// Process 1 reads it to tell a long capture (which may take hours) from a step that hangs, and a
// second child reads it to go on behind the module that ended the first, and without the targets
// that were tried. Thread safety: written by the child, read by its parent; every field is atomic.
#pragma once

#include <array>
#include <atomic>

#include "capture/base/result.h"
#include "capture/cli/config.h"

namespace dw {

enum class Step : uint32_t { kModules, kTargets, kCapture, kRelease };

[[nodiscard]] const char* name_of(Step step);

// What a capture ends with (its exit status); kNone: it has not ended yet.
enum class CaptureStatus : uint32_t {
  kComplete = 0,
  kNothing = 1,
  kUsage = 2,
  kIncomplete = 3,
  kNone = 4
};

// What came of a target. One that is not open is not tried again.
enum class TargetState : uint32_t { kOpen, kTried, kStalled };

inline constexpr char kNoDump[] = "NO DUMP WAS SAVED";

inline constexpr uint32_t kNoTarget = UINT32_MAX;

// Never goes back, and is the same in every process.
[[nodiscard]] int64_t shared_clock_ms();

// The better of two: complete, incomplete, nothing, usage, none.
[[nodiscard]] CaptureStatus better_of(CaptureStatus a, CaptureStatus b);

class SharedProgress {
 public:
  // Memory that stays shared over fork(2). It is never given back: there is one per boot.
  static Result<SharedProgress*> make_shared();

  // Nothing of an earlier child goes on; a target that it died at is still open.
  void begin_child() {
    current_target_ = kNoTarget;
    enter(Step::kModules);
  }
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
  // A step that is waited for moves, with a limit of its own.
  void stir() {
    beats_++;
    beat();
  }
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

  // The capture turns to target `number`; the one before it is done with.
  void begin_target(uint32_t number) {
    end_target(TargetState::kTried);
    current_target_ = number;
    beat();
  }
  // Its turn is over; whether it was one's turn at all.
  bool end_target(TargetState state) {
    uint32_t current = current_target_.exchange(kNoTarget);
    if (current >= kMaxTargets) return false;
    targets_[current] = state;
    return true;
  }
  [[nodiscard]] TargetState target(uint32_t number) const {
    return number < kMaxTargets ? targets_[number].load() : TargetState::kTried;
  }

  // Counts from 0. A module whose number is lower is not tried again.
  std::atomic<uint32_t> next_module{0};
  // Children that were started before this one.
  std::atomic<uint32_t> restarts{0};
  // Captures that were killed because they stalled; they are not among the restarts.
  std::atomic<uint32_t> stalls{0};
  // What stands on any of the targets.
  std::atomic<bool> has_log{false};
  std::atomic<bool> has_pages{false};

 private:
  std::atomic<Step> step_{Step::kModules};
  std::atomic<uint32_t> beats_{0};
  std::atomic<CaptureStatus> best_{CaptureStatus::kNone};
  std::atomic<int64_t> last_beat_ms_{0};
  std::atomic<bool> published_{false};
  std::atomic<uint32_t> current_target_{kNoTarget};
  std::array<std::atomic<TargetState>, kMaxTargets> targets_{};
};

// For people: "the dump is complete".
[[nodiscard]] const char* outcome_text(const SharedProgress& progress);

}  // namespace dw
