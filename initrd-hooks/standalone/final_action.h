// The end of a capture kernel: reboot, power off or halt, by reboot(2), never through a sync.
//
// Thread safety: called from one thread. The fatal signal handler is the one piece of state that
// the process as a whole has.
#pragma once

#include <sys/types.h>

#include "capture/cli/config.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/progress.h"
#include "initrd-hooks/standalone/watchdog.h"

namespace dw {

// How the machine is told; tests put in their own.
struct PowerControl {
  int (*reboot)(int command);   // reboot(2)
  void (*emergency_restart)();  // what is left when reboot(2) failed
  // Called before reboot(2); may start a process that presses these keys of SysRq, after a time in
  // which reboot(2) should have ended.
  void (*guard_against_hang)(const char* keys);
  // A shell on the console, until it ends; feeds the watchdogs meanwhile.
  void (*run_shell)(Watchdog& watchdog);
};

[[nodiscard]] PowerControl real_power_control();

// The command of reboot(2) for an action.
[[nodiscard]] int reboot_command(FinalAction action);

// A dump that was saved, complete or not, is a success; anything else takes the failure action.
[[nodiscard]] FinalAction choose_action(CaptureStatus saved, FinalAction final_action,
                                        FinalAction failure_action);

// What can be done of it: without a shell to be run, FinalAction::kShell is a reboot, and `log`
// says so.
[[nodiscard]] FinalAction possible_action(FinalAction action, const Log& log,
                                          const char* shell = "/bin/sh");

// Carries the action out; behind a shell comes a reboot. The watchdogs, which end a reboot that
// hangs, are disarmed only where the machine is to stay. If the kernel refuses it, it is asked to
// reboot instead, then to restart at once. Returns only when all of it failed.
void finish(FinalAction action, const PowerControl& power, Watchdog& watchdog, const Log& log);

// Waits until `child` has ended, and feeds the watchdogs meanwhile.
void feed_until_end(pid_t child, Watchdog& watchdog);

// From now on SIGSEGV and its kind end in `action` if they meet `process`, and not in its death,
// which of process 1 is a kernel panic. A forked child that calls reset_signals() dies of them as
// usual.
Status act_on_fatal_signals(FinalAction action, pid_t process = 1);

// For a child: every signal as the kernel delivers it to an ordinary process, none blocked.
void reset_signals();

// For a child that runs what others wrote: within the OOM killer's reach, where the supervisor is
// not.
void become_ordinary();

}  // namespace dw
