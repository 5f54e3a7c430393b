#include "tests/unit/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <stdexcept>

#include "tests/unit/support/rss_sampler.h"

namespace dw::test {

namespace {

pid_t spawn(const std::vector<std::string>& arguments, int out, int err) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

int64_t now_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

// Waits until `limit_us` from now, then kills. Returns whether it had to.
bool wait_or_kill(pid_t pid, int64_t limit_us, int& raw_status, uint64_t& anonymous_peak_kib) {
  int64_t end = now_us() + limit_us;
  std::string status_path = "/proc/" + std::to_string(pid) + "/status";
  while (::waitpid(pid, &raw_status, WNOHANG) == 0) {
    if (now_us() < end) {
      anonymous_peak_kib = std::max(anonymous_peak_kib, anonymous_kib(status_path));
      ::usleep(200);
      continue;
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &raw_status, 0);
    return true;
  }
  return false;
}

Outcome run_limited(const std::vector<std::string>& arguments, int64_t limit_us) {
  CapturedOutput out;
  CapturedOutput err;
  pid_t pid = spawn(arguments, out.fd(), err.fd());
  int raw = 0;
  Outcome outcome;
  outcome.timed_out = wait_or_kill(pid, limit_us, raw, outcome.anonymous_kib);
  if (WIFEXITED(raw)) outcome.status = WEXITSTATUS(raw);
  if (WIFSIGNALED(raw)) outcome.signal = WTERMSIG(raw);
  outcome.out = out.text();
  outcome.err = err.text();
  return outcome;
}

}  // namespace

CapturedOutput::CapturedOutput() : fd_(::memfd_create("output", MFD_CLOEXEC)) {
  if (fd_ < 0) throw std::runtime_error("memfd_create");
}

CapturedOutput::~CapturedOutput() { ::close(fd_); }

std::string CapturedOutput::text() const {
  off_t size = ::lseek(fd_, 0, SEEK_END);
  std::string text(static_cast<size_t>(size), '\0');
  if (::pread(fd_, text.data(), text.size(), 0) != size) throw std::runtime_error("pread");
  return text;
}

std::vector<std::string> Outcome::lines() const {
  std::istringstream stream(err);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

Outcome run(const std::vector<std::string>& arguments, int limit_ms) {
  return run_limited(arguments, int64_t{limit_ms} * 1000);
}

Outcome run_and_kill(const std::vector<std::string>& arguments, int after_us) {
  return run_limited(arguments, after_us);
}

std::vector<std::string> dumpwright_arguments(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), DUMPWRIGHT_EXECUTABLE);
  return arguments;
}

Outcome dumpwright(std::vector<std::string> arguments) {
  return run(dumpwright_arguments(std::move(arguments)));
}

}  // namespace dw::test
