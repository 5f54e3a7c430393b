#include "initrd-hooks/standalone/init.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "initrd-hooks/standalone/final_action.h"
#include "initrd-hooks/standalone/scripts.h"
#include "initrd-hooks/standalone/supervise.h"
#include "initrd-hooks/standalone/worker.h"

namespace dw {

namespace {

constexpr char kConfigPath[] = "/etc/dumpwright.conf";
constexpr uint64_t kDefaultStallTimeoutS = 120;
constexpr char kPanicSeconds[] = "10\n";
constexpr char kOomScore[] = "/proc/self/oom_score_adj";

Status mount_one(const char* type, const char* path) {
  ::mkdir(path, 0755);
  if (::mount(type, path, type, MS_NOSUID | MS_NOEXEC, nullptr) == 0 || errno == EBUSY) return {};
  return Error::from_errno("cannot mount").on(path);
}

Status write_text(const char* path, std::string_view text) {
  DW_ASSIGN(Fd file, open_file(path, O_WRONLY));
  return write_all_at(file.get(), std::as_bytes(std::span(text.data(), text.size())), 0);
}

// Gives this process the console as stdin, stdout and stderr. Ctrl-S on it must not stop anybody.
void open_console(int more_flags) {
  int fd = ::open("/dev/console", O_RDWR | O_NOCTTY | more_flags);
  if (fd < 0) return;
  termios settings{};
  if (::tcgetattr(fd, &settings) == 0) {
    settings.c_iflag &= ~static_cast<tcflag_t>(IXON | IXOFF);
    ::tcsetattr(fd, TCSANOW, &settings);
  }
  for (int standard = 0; standard <= STDERR_FILENO; standard++) ::dup2(fd, standard);
  if (fd > STDERR_FILENO) ::close(fd);
}

void report(const std::vector<ConfigProblem>& problems, const char* place, const Log& log) {
  for (const ConfigProblem& problem : problems) {
    char text[400];
    problem.error.format(text, sizeof(text));
    log.say("%s: %s; left out (default: %s)", place, text, problem.fallback);
  }
}

Config read_config(const std::vector<BootParameter>& boot, const Log& log) {
  Config config;
  auto text = read_text_file(kConfigPath);
  if (text.ok())
    report(apply_config(config, *text), kConfigPath, log);
  else
    log.warn(text.error());
  report(apply_command_line(config, boot), "the kernel's command line", log);
  return config;
}

// The kernel panics if process 1 is lost in spite of everything: then it shall not hang.
void prepare_for_panic(FinalAction action) {
  constexpr char kPath[] = "/proc/sys/kernel/panic";
  if (action == FinalAction::kHalt) return;
  auto seconds = read_text_file(kPath, 32);
  if (!seconds.ok() || *seconds != "0\n") return;
  [[maybe_unused]] Status kept_as_it_was = write_text(kPath, kPanicSeconds);
}

// By default the kernel sets up to 2 MiB more aside as soon as memory is fragmented (Documentation/
// admin-guide/sysctl/vm.rst), which it soon is in a reservation of 80 MiB.
void use_all_memory() {
  [[maybe_unused]] Status kept_as_it_was = write_text("/proc/sys/vm/watermark_boost_factor", "0\n");
}

int work_in_child(SharedProgress& progress, const void* context) {
  open_console(0);
  // If anybody has to go for want of memory, then not the supervisor.
  [[maybe_unused]] Status kept_as_it_was = write_text(kOomScore, "0");
  return static_cast<int>(run_worker(*static_cast<const Work*>(context), progress));
}

CaptureStatus capture_supervised(const Work& work, Watchdog& watchdog) {
  auto progress = SharedProgress::make_shared();
  if (!progress.ok()) {
    work.log->warn(progress.error());
    work.log->say("%s", kNoDump);
    return CaptureStatus::kNothing;
  }
  Supervision supervision{.work = work_in_child, .context = &work};
  supervision.capture_timeout_ms =
      static_cast<int64_t>(work.config->capture_timeout_s.value_or(0)) * 1000;
  supervision.watchdog = &watchdog;
  supervision.stall_limit_ms =
      static_cast<int64_t>(work.config->stall_timeout_s.value_or(kDefaultStallTimeoutS)) * 1000;
  // What stalls is killed first; the watchdog is for what that does not help.
  if (supervision.stall_limit_ms > 0)
    supervision.feed_limit_ms = supervision.stall_limit_ms + 3 * supervision.kill_grace_ms;
  CaptureStatus saved = supervise(supervision, **progress, *work.log);
  work.log->say("%s", outcome_text(**progress));
  return saved;
}

std::vector<BootParameter> read_command_line(const Log& log) {
  auto text = read_text_file("/proc/cmdline");
  if (text.ok()) return parse_command_line(*text);
  log.warn(text.error());
  return {};
}

// For the administrator's scripts.
const char* outcome_word(CaptureStatus saved) {
  if (saved == CaptureStatus::kComplete) return "complete";
  return saved == CaptureStatus::kIncomplete ? "incomplete" : "nothing";
}

// Returns only if the kernel refuses every final action. `process`: the one that supervises.
void capture_and_finish(const InitHooks& hooks, pid_t process, const Log& log) {
  std::vector<BootParameter> boot = read_command_line(log);
  Config config = read_config(boot, log);
  FinalAction final_action = config.final_action.value_or(FinalAction::kReboot);
  FinalAction failure_action = config.failure_action.value_or(final_action);
  prepare_for_panic(failure_action);
  use_all_memory();
  Status handled = act_on_fatal_signals(failure_action, process);
  if (!handled.ok()) log.warn(handled.error());

  Watchdog watchdog(log);
  run_scripts(kPreScripts, {}, kScriptLimitMs, watchdog, log);
  CaptureStatus saved = capture_supervised({&config, &boot, hooks.capture, &log}, watchdog);
  FinalAction action = possible_action(choose_action(saved, final_action, failure_action), log);
  run_scripts(kPostScripts,
              {std::string("DUMPWRIGHT_OUTCOME=") + outcome_word(saved),
               std::string("DUMPWRIGHT_ACTION=") + name_of(action)},
              kScriptLimitMs, watchdog, log);
  finish(action, real_power_control(), watchdog, log);
}

}  // namespace

bool is_init(const char* program_name) {
  if (::getpid() != 1 || program_name == nullptr) return false;
  std::string_view name(program_name);
  return name.substr(name.rfind('/') + 1) == "init";
}

int run_init(const InitHooks& hooks) {
  Status handled = act_on_fatal_signals(FinalAction::kReboot);
  Status mounted[] = {mount_one("devtmpfs", "/dev"), mount_one("proc", "/proc"),
                      mount_one("sysfs", "/sys")};
  open_console(O_NONBLOCK);
  Log log = Log::with_kernel_log();
  if (!handled.ok()) log.warn(handled.error());
  for (const Status& status : mounted)
    if (!status.ok()) log.warn(status.error());

  capture_and_finish(hooks, 1, log);
  // The kernel refused everything. Ending process 1 makes it panic, and prepare_for_panic() has
  // seen to what comes then.
  ::_exit(1);
}

int supervise_command(std::span<const char* const> arguments, const InitHooks& hooks) {
  if (!arguments.empty()) {
    std::fputs("usage: dumpwright supervise (in a capture kernel's initrd only)\n", stderr);
    return static_cast<int>(CaptureStatus::kUsage);
  }
  if (::access("/proc/vmcore", F_OK) != 0) {
    std::fputs("dumpwright: error: there is no /proc/vmcore: this is no capture kernel\n", stderr);
    return static_cast<int>(CaptureStatus::kNothing);
  }
  open_console(O_NONBLOCK);
  Log log = Log::with_kernel_log();
  if (Status status = write_text(kOomScore, "-1000"); !status.ok()) log.warn(status.error());
  capture_and_finish(hooks, ::getpid(), log);
  return static_cast<int>(CaptureStatus::kNothing);
}

}  // namespace dw
