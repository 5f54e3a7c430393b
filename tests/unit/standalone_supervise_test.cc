#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

#include "capture/cli/config.h"
#include "initrd-hooks/standalone/final_action.h"
#include "initrd-hooks/standalone/supervise.h"

using namespace dw;

namespace {

struct Run {
  CaptureStatus status;
  uint32_t children;
  uint32_t stalls;
};

// Every test's child counts itself here; the field means something else in the real child.
uint32_t count_child(SharedProgress& progress) { return ++progress.next_module; }

Run run(int (*work)(SharedProgress&, const void*), Supervision supervision = {}) {
  auto progress = SharedProgress::make_shared();
  REQUIRE(progress.ok());
  std::fflush(nullptr);  // or the child, which flushes at its end, repeats what is buffered here
  supervision.work = work;
  supervision.tick_ms = 20;
  supervision.kill_grace_ms = 5000;
  CaptureStatus status = supervise(supervision, **progress, Log(-1));
  return {status, (*progress)->next_module, (*progress)->stalls};
}

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

volatile sig_atomic_t last_reboot_command;
int reboots;
int emergency_restarts;

int refuse_reboot(int command) {
  if (reboots++ == 0) last_reboot_command = command;
  errno = EPERM;
  return -1;
}

}  // namespace

TEST_CASE("supervise: an exit status is a decision") {
  for (int expected = 0; expected < 4; expected++) {
    static int status;
    status = expected;
    Run result = run([](SharedProgress& progress, const void*) {
      count_child(progress);
      return status;
    });
    CHECK(result.status == static_cast<CaptureStatus>(expected));
    CHECK(result.children == 1);
  }
}

TEST_CASE("supervise: a child that is killed is started once more") {
  Run result = run([](SharedProgress& progress, const void*) {
    if (count_child(progress) == 1) ::kill(::getpid(), SIGKILL);
    return progress.restarts == 1 ? 0 : 1;
  });
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 2);
}

TEST_CASE("supervise: the second death is the last, and takes the failure action") {
  Run result = run([](SharedProgress& progress, const void*) {
    count_child(progress);
    ::raise(SIGSEGV);
    return 0;
  });
  CHECK(result.status == CaptureStatus::kNone);
  CHECK(result.children == 2);
  CHECK(choose_action(result.status, FinalAction::kReboot, FinalAction::kHalt) ==
        FinalAction::kHalt);
}

TEST_CASE("supervise: an unknown exit status is a death") {
  Run result = run(
      [](SharedProgress& progress, const void*) { return count_child(progress) == 1 ? 77 : 3; });
  CHECK(result.status == CaptureStatus::kIncomplete);
  CHECK(result.children == 2);
}

TEST_CASE("supervise: a child that dies after the dump was complete is not started again") {
  Run result = run([](SharedProgress& progress, const void*) {
    count_child(progress);
    progress.record(CaptureStatus::kComplete);
    ::raise(SIGKILL);
    return 1;
  });
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 1);
}

TEST_CASE("supervise: what an earlier target saved is not forgotten") {
  Run result = run([](SharedProgress& progress, const void*) {
    if (count_child(progress) == 1) {
      progress.record(CaptureStatus::kIncomplete);
      ::raise(SIGKILL);
    }
    return 1;
  });
  CHECK(result.status == CaptureStatus::kIncomplete);
}

TEST_CASE("supervise: a capture that exceeds capture_timeout is killed, and not started again") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        count_child(progress);
        progress.enter(Step::kCapture);
        sleep_for_ever();
      },
      {.capture_timeout_ms = 200});
  CHECK(result.status == CaptureStatus::kNone);
  CHECK(result.children == 1);
}

TEST_CASE("supervise: what was published before capture_timeout or a death is an incomplete dump") {
  auto publish_and_sleep = [](SharedProgress& progress, const void*) -> int {
    progress.begin_capture();
    progress.publish();
    sleep_for_ever();
  };
  CHECK(run(publish_and_sleep, {.capture_timeout_ms = 200}).status == CaptureStatus::kIncomplete);
  Run died = run([](SharedProgress& progress, const void*) {
    progress.begin_capture();
    if (count_child(progress) == 1) progress.publish();
    ::raise(SIGKILL);
    return 0;
  });
  CHECK(died.status == CaptureStatus::kIncomplete);
  CHECK(died.children == 2);
}

TEST_CASE("supervise: a capture's own status overrules what it published") {
  Run result = run([](SharedProgress& progress, const void*) {
    progress.begin_capture();
    progress.publish();
    progress.end_capture(CaptureStatus::kNothing);
    return 1;
  });
  CHECK(result.status == CaptureStatus::kNothing);
}

TEST_CASE("supervise: a capture without signs of life is killed, and its target passed over") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        count_child(progress);
        // Three targets, of which the first and the last stall; more than the one restart after a
        // death.
        for (uint32_t target : {0U, 2U}) {
          if (progress.target(target) != TargetState::kOpen) continue;
          progress.begin_target(target);
          progress.begin_capture();
          sleep_for_ever();
        }
        bool as_it_was = progress.target(0) == TargetState::kStalled &&
                         progress.target(1) == TargetState::kOpen &&
                         progress.target(2) == TargetState::kStalled && progress.restarts == 0;
        return as_it_was ? 0 : 1;
      },
      {.stall_limit_ms = 200});
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 3);
  CHECK(result.stalls == 2);
}

TEST_CASE("supervise: behind a target that stalled, one that is killed is tried again") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        uint32_t child = count_child(progress);
        progress.begin_target(child == 1 ? 0 : 1);
        if (child == 1) {
          progress.begin_capture();
          sleep_for_ever();
        }
        if (child == 2) ::raise(SIGKILL);
        return progress.restarts == 1 && progress.target(1) == TargetState::kOpen ? 0 : 1;
      },
      {.stall_limit_ms = 200});
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 3);
}

TEST_CASE("supervise: a capture that stalls before its first target is started once more") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        count_child(progress);
        progress.begin_capture();
        sleep_for_ever();
      },
      {.stall_limit_ms = 200});
  CHECK(result.status == CaptureStatus::kNone);
  CHECK(result.children == 2);
  CHECK(result.stalls == 0);
}

TEST_CASE("supervise: a stalled capture that published leaves an incomplete dump") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        if (progress.restarts > 0) return 1;
        progress.begin_capture();
        progress.publish();
        sleep_for_ever();
      },
      {.stall_limit_ms = 200});
  CHECK(result.status == CaptureStatus::kIncomplete);
}

TEST_CASE("supervise: captures that always stall come to an end") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        progress.begin_target((count_child(progress) - 1) % kMaxTargets);
        progress.begin_capture();
        sleep_for_ever();
      },
      {.stall_limit_ms = 1});
  CHECK(result.status == CaptureStatus::kNone);
  CHECK(result.children == kMaxTargets + 1);
}

TEST_CASE("supervise: a capture that moves now and then may take longer than the stall limit") {
  Run result = run(
      [](SharedProgress& progress, const void*) {
        count_child(progress);
        progress.begin_capture();
        for (int i = 0; i < 6; i++) {
          ::usleep(200 * 1000);
          progress.beat();
        }
        return 0;
      },
      {.stall_limit_ms = 800});
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 1);
}

TEST_CASE("supervise: a step that hangs is killed, and the next child goes on behind it") {
  Run result = run(
      [](SharedProgress& progress, const void*) -> int {
        progress.enter(Step::kModules);
        if (count_child(progress) == 1) sleep_for_ever();
        return 0;
      },
      {.step_limit_ms = 200});
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 2);
}

TEST_CASE("supervise: the capture itself may take longer than a step, and so may many steps") {
  Run result = run(
      [](SharedProgress& progress, const void*) {
        count_child(progress);
        for (int i = 0; i < 6; i++) {
          progress.enter(Step::kModules);
          ::usleep(100 * 1000);
        }
        progress.enter(Step::kCapture);
        ::usleep(700 * 1000);
        return 0;
      },
      {.step_limit_ms = 400});
  CHECK(result.status == CaptureStatus::kComplete);
  CHECK(result.children == 1);
}

TEST_CASE("supervise: an orphan is reaped") {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  Run result = run([](SharedProgress& progress, const void*) {
    pid_t orphan_parent = ::fork();
    if (orphan_parent == 0) {
      pid_t orphan = ::fork();
      if (orphan == 0) {
        ::usleep(100 * 1000);
        ::_exit(0);
      }
      progress.next_module = static_cast<uint32_t>(orphan);
      ::_exit(0);
    }
    ::waitpid(orphan_parent, nullptr, 0);
    ::usleep(500 * 1000);
    return 0;
  });
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  CHECK(result.status == CaptureStatus::kComplete);
  REQUIRE(result.children > 1);
  // Not even a zombie is left.
  CHECK(::kill(static_cast<pid_t>(result.children), 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("supervise: leaves the signal mask as it was") {
  sigset_t before;
  sigset_t after;
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  run([](SharedProgress&, const void*) { return 0; });
  ::sigprocmask(SIG_SETMASK, nullptr, &after);
  CHECK(sigismember(&before, SIGCHLD) == sigismember(&after, SIGCHLD));
}

TEST_CASE("final action: success for whatever was saved, failure for the rest") {
  auto choose = [](CaptureStatus status) {
    return choose_action(status, FinalAction::kPoweroff, FinalAction::kHalt);
  };
  CHECK(choose(CaptureStatus::kComplete) == FinalAction::kPoweroff);
  CHECK(choose(CaptureStatus::kIncomplete) == FinalAction::kPoweroff);
  CHECK(choose(CaptureStatus::kNothing) == FinalAction::kHalt);
  CHECK(choose(CaptureStatus::kUsage) == FinalAction::kHalt);
  CHECK(choose(CaptureStatus::kNone) == FinalAction::kHalt);
  CHECK(choose(static_cast<CaptureStatus>(999)) == FinalAction::kHalt);
}

TEST_CASE("final action: a kernel that refuses is asked for a reboot, then restarted") {
  static std::string guards;
  PowerControl power{refuse_reboot, [] { emergency_restarts++; },
                     [](const char* keys) { guards += keys; },
                     [](Watchdog&) { FAIL("no shell was asked for"); }};
  Log log(-1);
  Watchdog watchdog(log, "/no/watchdog");
  for (FinalAction action : {FinalAction::kReboot, FinalAction::kPoweroff, FinalAction::kHalt}) {
    reboots = emergency_restarts = 0;
    guards.clear();
    finish(action, power, watchdog, log);
    // One each, also for the reboot after a refusal; a halt that hangs is a halt.
    CHECK(guards == (action == FinalAction::kPoweroff ? "ob" : "b"));
    CHECK(last_reboot_command == reboot_command(action));
    CHECK(reboots == (action == FinalAction::kReboot ? 1 : 2));
    CHECK(emergency_restarts == 1);
  }
}

TEST_CASE("final action: a shell, and a reboot behind it; without one a reboot") {
  static std::string done;
  done.clear();
  PowerControl power{[](int command) {
                       done += command == RB_AUTOBOOT ? "reboot " : "other ";
                       return -1;
                     },
                     [] { done += "restart "; }, [](const char* keys) { done += keys; },
                     [](Watchdog&) { done += "shell "; }};
  Log log(-1);
  Watchdog watchdog(log, "/no/watchdog");
  finish(possible_action(FinalAction::kShell, log, "/bin/sh"), power, watchdog, log);
  CHECK(done == "shell breboot restart ");
  CHECK(possible_action(FinalAction::kShell, Log(-1), "/no/sh") == FinalAction::kReboot);
  CHECK(possible_action(FinalAction::kHalt, Log(-1), "/no/sh") == FinalAction::kHalt);
}

TEST_CASE("progress: a dump without pages is no incomplete dump, and the log is told of") {
  SharedProgress& progress = **SharedProgress::make_shared();
  CHECK(outcome_text(progress) == std::string("NO DUMP WAS SAVED"));
  progress.has_log = true;
  CHECK(outcome_text(progress) == std::string("NO DUMP WAS SAVED"));
  progress.record(CaptureStatus::kIncomplete);
  CHECK(outcome_text(progress) ==
        std::string("only vmcore-dmesg.txt was saved, and a dump without pages"));
  progress.has_log = false;
  CHECK(outcome_text(progress) == std::string("only a dump without pages was saved"));
  progress.has_pages = true;
  CHECK(outcome_text(progress) == std::string("an incomplete dump was saved"));
  progress.record(CaptureStatus::kComplete);
  CHECK(outcome_text(progress) == std::string("the dump is complete"));
}

TEST_CASE("progress: the better status stays") {
  CHECK(better_of(CaptureStatus::kNone, CaptureStatus::kUsage) == CaptureStatus::kUsage);
  CHECK(better_of(CaptureStatus::kUsage, CaptureStatus::kNothing) == CaptureStatus::kNothing);
  CHECK(better_of(CaptureStatus::kIncomplete, CaptureStatus::kNothing) ==
        CaptureStatus::kIncomplete);
  CHECK(better_of(CaptureStatus::kIncomplete, CaptureStatus::kComplete) ==
        CaptureStatus::kComplete);
  CHECK(better_of(CaptureStatus::kNothing, static_cast<CaptureStatus>(12345)) ==
        CaptureStatus::kNothing);
}
