#include "initrd-hooks/standalone/supervise.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "capture/cli/config.h"
#include "initrd-hooks/standalone/final_action.h"

namespace dw {

namespace {

constexpr uint32_t kMaxRestarts = 1;

enum class Ending { kDecided, kDied, kHung, kStalled, kOutOfTime };

const char* reason_of(Ending ending) {
  if (ending == Ending::kHung) return "it hangs";
  return ending == Ending::kStalled ? "it does not move any more" : "its time is over";
}

// SIGCHLD stays blocked while a Supervisor lives, so that waiting for it cannot miss one.
class BlockedSigchld {
 public:
  BlockedSigchld() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~BlockedSigchld() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSigchld(const BlockedSigchld&) = delete;
  BlockedSigchld& operator=(const BlockedSigchld&) = delete;

  void wait(int64_t limit_ms) const {
    timespec limit{.tv_sec = limit_ms / 1000, .tv_nsec = (limit_ms % 1000) * 1000000};
    ::sigtimedwait(&set_, nullptr, &limit);
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

class Supervisor {
 public:
  Supervisor(const Supervision& supervision, SharedProgress& progress, const Log& log)
      : supervision_(supervision), progress_(progress), log_(log), started_ms_(shared_clock_ms()) {}

  void run() {
    for (;;) {
      Ending ending = run_child();
      progress_.keep_published();
      if (ending == Ending::kDecided || ending == Ending::kOutOfTime) return;
      if (progress_.best() == CaptureStatus::kComplete) return;
      if (!(ending == Ending::kStalled ? pass_over_target() : may_restart())) return;
    }
  }

 private:
  // What stalled on a target would stall there again. Without a target the fault lies elsewhere.
  bool pass_over_target() {
    if (!progress_.end_target(TargetState::kStalled)) return may_restart();
    if (progress_.stalls >= kMaxTargets) return false;
    progress_.stalls++;
    log_.say("going on without this target");
    return true;
  }

  bool may_restart() {
    if (progress_.restarts >= kMaxRestarts) {
      log_.say("the capture ended twice before its time; giving up");
      return false;
    }
    progress_.restarts++;
    log_.say("starting the capture once more");
    return true;
  }

  Ending run_child() {
    progress_.begin_child();
    pid_t child = ::fork();
    if (child == 0) be_child();
    if (child > 0) return wait_for(child);
    log_.warn(Error::from_errno("cannot start a process for the capture"));
    sigchld_.wait(supervision_.tick_ms);
    return Ending::kDied;
  }

  [[noreturn]] void be_child() {
    reset_signals();
    ::setsid();
    int status = supervision_.work(progress_, supervision_.context);
    std::fflush(nullptr);
    ::_exit(status);
  }

  Ending wait_for(pid_t child) {
    uint32_t beats = progress_.beats();
    int64_t step_started_ms = shared_clock_ms();
    for (;;) {
      if (auto status = reap(child)) return judge(*status);
      int64_t now = shared_clock_ms();
      if (uint32_t current = progress_.beats(); current != beats) {
        beats = current;
        step_started_ms = now;
      }
      if (moves(now)) feed(now);
      if (out_of_time(now)) return stop(child, Ending::kOutOfTime);
      if (stalled(now)) return stop(child, Ending::kStalled);
      if (progress_.step() != Step::kCapture && now - step_started_ms > supervision_.step_limit_ms)
        return stop(child, Ending::kHung);
      sigchld_.wait(supervision_.tick_ms);
    }
  }

  [[nodiscard]] bool out_of_time(int64_t now) const {
    return supervision_.capture_timeout_ms > 0 &&
           now - started_ms_ >= supervision_.capture_timeout_ms;
  }

  // A step has a limit of its own, past which its child is killed.
  [[nodiscard]] bool moves(int64_t now) const {
    return progress_.step() != Step::kCapture ||
           now - progress_.last_beat_ms() <= supervision_.feed_limit_ms;
  }

  void feed(int64_t now) const {
    if (supervision_.watchdog != nullptr) supervision_.watchdog->feed(now);
  }

  [[nodiscard]] bool stalled(int64_t now) const {
    return supervision_.stall_limit_ms > 0 && progress_.step() == Step::kCapture &&
           now - progress_.last_beat_ms() > supervision_.stall_limit_ms;
  }

  // Takes every child that has ended, orphans included; returns the status of `child` if it has.
  static std::optional<int> reap(pid_t child) {
    std::optional<int> found;
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0;
         pid = ::waitpid(-1, &status, WNOHANG))
      if (pid == child) found = status;
    return found;
  }

  Ending judge(int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) < static_cast<int>(CaptureStatus::kNone)) {
      progress_.record(static_cast<CaptureStatus>(WEXITSTATUS(status)));
      return Ending::kDecided;
    }
    if (WIFSIGNALED(status))
      log_.say("the capture was ended by signal %d while %s", WTERMSIG(status),
               name_of(progress_.step()));
    else
      log_.say("the capture ended with the unknown status %d while %s", WEXITSTATUS(status),
               name_of(progress_.step()));
    return Ending::kDied;
  }

  // A process that is stuck in the kernel does not die, and is not waited for beyond the grace.
  Ending stop(pid_t child, Ending ending) {
    log_.say("%s: killing the capture while %s", reason_of(ending), name_of(progress_.step()));
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);
    int64_t limit = shared_clock_ms() + supervision_.kill_grace_ms;
    while (!reap(child)) {
      if (shared_clock_ms() >= limit) {
        log_.say("the capture does not die; going on without waiting for it");
        break;
      }
      sigchld_.wait(supervision_.tick_ms);
    }
    return ending;
  }

  const Supervision& supervision_;
  SharedProgress& progress_;
  const Log& log_;
  BlockedSigchld sigchld_;
  int64_t started_ms_;
};

}  // namespace

CaptureStatus supervise(const Supervision& supervision, SharedProgress& progress, const Log& log) {
  Supervisor(supervision, progress, log).run();
  return progress.best();
}

}  // namespace dw
