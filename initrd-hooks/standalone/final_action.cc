#include "initrd-hooks/standalone/final_action.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace dw {

namespace {

constexpr int kFatalSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
constexpr unsigned kHangSeconds = 120;
constexpr unsigned kNextKeySeconds = 10;
constexpr size_t kHandlerStackBytes = 64 * 1024;

// A signal handler has no other way to know.
volatile std::sig_atomic_t fatal_command = RB_AUTOBOOT;
volatile pid_t acting_process = 1;

// Calls nothing that a signal handler may not.
void press_sysrq(char key) {
  int fd = ::open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] ssize_t lost = ::write(fd, &key, 1);
  ::close(fd);
}

// Restarts without asking any driver.
void emergency_restart() { press_sysrq('b'); }

// reboot(2) first shuts every driver down, and a driver that waits for dead hardware would keep it
// there. Another process presses the keys then.
void guard_against_hang(const char* keys) {
  if (::fork() != 0) return;
  ::sleep(kHangSeconds);
  for (; *keys != '\0'; keys++) {
    press_sysrq(*keys);
    ::sleep(kNextKeySeconds);
  }
  ::_exit(0);
}

// With job control, on a console that waits: that of the supervisor does not.
[[noreturn]] void be_shell() {
  reset_signals();
  become_ordinary();
  ::setsid();
  int console = ::open("/dev/console", O_RDWR | O_NOCTTY);
  for (int standard = 0; console >= 0 && standard <= STDERR_FILENO; standard++)
    ::dup2(console, standard);
  ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
  char name[] = "/bin/sh";
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char terminal[] = "TERM=linux";
  char* arguments[] = {name, nullptr};
  char* variables[] = {path, terminal, nullptr};
  ::execve(name, arguments, variables);
  ::_exit(127);
}

void run_shell(Watchdog& watchdog) {
  pid_t shell = ::fork();
  if (shell == 0) be_shell();
  if (shell > 0) feed_until_end(shell, watchdog);
}

void on_fatal_signal(int number) {
  if (::syscall(SYS_getpid) == acting_process) {
    constexpr char kText[] = "dumpwright: the supervisor failed; carrying out the final action\n";
    [[maybe_unused]] ssize_t lost = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
    ::reboot(fatal_command);
    emergency_restart();
  }
  ::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

PowerControl real_power_control() {
  return {::reboot, emergency_restart, guard_against_hang, run_shell};
}

int reboot_command(FinalAction action) {
  switch (action) {
    case FinalAction::kReboot:
    case FinalAction::kShell:
      return RB_AUTOBOOT;
    case FinalAction::kPoweroff:
      return RB_POWER_OFF;
    case FinalAction::kHalt:
      return RB_HALT_SYSTEM;
  }
  return RB_AUTOBOOT;
}

FinalAction choose_action(CaptureStatus saved, FinalAction final_action,
                          FinalAction failure_action) {
  bool success = saved == CaptureStatus::kComplete || saved == CaptureStatus::kIncomplete;
  return success ? final_action : failure_action;
}

FinalAction possible_action(FinalAction action, const Log& log, const char* shell) {
  if (action != FinalAction::kShell || ::access(shell, X_OK) == 0) return action;
  log.say("there is no %s in this initrd: rebooting instead", shell);
  return FinalAction::kReboot;
}

void feed_until_end(pid_t child, Watchdog& watchdog) {
  constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = kWatchdogPeriodMs / 4 * 1000 * 1000};
  for (;;) {
    pid_t ended = ::waitpid(child, nullptr, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return;
    watchdog.feed(shared_clock_ms());
    ::nanosleep(&kPoll, nullptr);
  }
}

void finish(FinalAction action, const PowerControl& power, Watchdog& watchdog, const Log& log) {
  log.say("final action: %s", name_of(action));
  if (action == FinalAction::kHalt || action == FinalAction::kShell)
    watchdog.disarm(action == FinalAction::kShell);
  if (action == FinalAction::kShell) {
    log.say("the machine waits for somebody; the end of the shell reboots it");
    power.run_shell(watchdog);
    action = FinalAction::kReboot;
  }
  if (action == FinalAction::kReboot) power.guard_against_hang("b");
  if (action == FinalAction::kPoweroff) power.guard_against_hang("ob");
  if (power.reboot(reboot_command(action)) != 0)
    log.warn(Error::from_errno("the kernel refused").on(name_of(action)));
  // That of a machine that is to be off stands already.
  if (action == FinalAction::kHalt) power.guard_against_hang("b");
  if (action != FinalAction::kReboot) power.reboot(RB_AUTOBOOT);
  power.emergency_restart();
}

Status act_on_fatal_signals(FinalAction action, pid_t process) {
  fatal_command = reboot_command(action);
  acting_process = process;
  // A stack that ran over leaves no room for the handler, so it has its own.
  static char stack_memory[kHandlerStackBytes];
  stack_t stack{};
  stack.ss_sp = stack_memory;
  stack.ss_size = sizeof(stack_memory);
  if (::sigaltstack(&stack, nullptr) != 0)
    return Error::from_errno("cannot set a stack for fatal signals");
  struct sigaction handler {};
  handler.sa_handler = on_fatal_signal;
  handler.sa_flags = SA_ONSTACK;
  for (int number : kFatalSignals)
    if (::sigaction(number, &handler, nullptr) != 0)
      return Error::from_errno("cannot handle fatal signals");
  return {};
}

void become_ordinary() {
  int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] ssize_t kept_as_it_was = ::write(fd, "0", 1);
  ::close(fd);
}

void reset_signals() {
  for (int number = 1; number < 32; number++) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace dw
