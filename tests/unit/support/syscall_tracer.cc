#include "tests/unit/support/syscall_tracer.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace dw::test {

namespace {

// Where a call's file is: in a descriptor, or a path, relative to a directory's descriptor.
enum class Place : uint8_t { kFd, kAt, kPath };

struct Watched {
  long number;
  const char* name;
  Place place;
};

constexpr Watched kWatched[] = {
    {SYS_openat, "openat", Place::kAt},
    {SYS_open, "open", Place::kPath},
    {SYS_mkdir, "mkdir", Place::kPath},
    {SYS_mkdirat, "mkdirat", Place::kAt},
    {SYS_pread64, "pread64", Place::kFd},
    {SYS_pwrite64, "pwrite64", Place::kFd},
    {SYS_write, "write", Place::kFd},
    {SYS_fallocate, "fallocate", Place::kFd},
    {SYS_fsync, "fsync", Place::kFd},
    {SYS_fdatasync, "fdatasync", Place::kFd},
    {SYS_sync_file_range, "sync_file_range", Place::kFd},
    {SYS_ftruncate, "ftruncate", Place::kFd},
    {SYS_flock, "flock", Place::kFd},
    {SYS_close, "close", Place::kFd},
    {SYS_fstat, "fstat", Place::kFd},
    {SYS_fstatfs, "fstatfs", Place::kFd},
    {SYS_newfstatat, "newfstatat", Place::kAt},
    {SYS_statx, "statx", Place::kAt},
    {SYS_renameat, "renameat", Place::kAt},
    {SYS_renameat2, "renameat2", Place::kAt},
    {SYS_unlinkat, "unlinkat", Place::kAt},
};

const Watched* watched(uint64_t number) {
  for (const Watched& call : kWatched)
    if (static_cast<uint64_t>(call.number) == number) return &call;
  return nullptr;
}

std::vector<sock_filter> make_filter() {
  std::vector<sock_filter> filter;
  filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const Watched& call : kWatched) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call.number), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return filter;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(char* const* argv, char* const* environment, const sock_fprog& filter,
                         int out, int err) {
  ::setpgid(0, 0);
  int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::ptrace(PTRACE_TRACEME, 0, 0, 0);
  ::raise(SIGSTOP);  // until the tracer has set its options
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
    ::execve(argv[0], argv, environment);
  ::_exit(127);
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The leak checker cannot work in a traced program.
std::vector<std::string> environment_without_leak_checker() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("ASAN_OPTIONS=")) variables.emplace_back(*entry);
  variables.emplace_back("ASAN_OPTIONS=detect_leaks=0");
  return variables;
}

std::string text_at(pid_t pid, uint64_t address) {
  std::array<char, 4096> text{};
  iovec local{.iov_base = text.data(), .iov_len = text.size() - 1};
  // Up to the end of the page: the next may not be there.
  size_t in_page = 4096 - address % 4096;
  iovec remote{.iov_base = reinterpret_cast<void*>(address), .iov_len = in_page};
  ssize_t n = ::process_vm_readv(pid, &local, 1, &remote, 1, 0);
  if (n == static_cast<ssize_t>(in_page) && in_page < local.iov_len) {
    local = {.iov_base = text.data() + n, .iov_len = text.size() - 1 - in_page};
    remote = {.iov_base = reinterpret_cast<void*>(address + in_page), .iov_len = local.iov_len};
    (void)::process_vm_readv(pid, &local, 1, &remote, 1, 0);
  }
  return text.data();
}

std::string path_of(pid_t pid, int fd) {
  std::string link = fd == AT_FDCWD ? "/cwd" : "/fd/" + std::to_string(fd);
  std::error_code error;
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + link, error).string();
}

std::string path_of_call(pid_t pid, const Watched& call, const user_regs_struct& registers) {
  int fd = static_cast<int>(registers.rdi);
  if (call.place == Place::kFd) return path_of(pid, fd);
  std::string path = text_at(pid, call.place == Place::kAt ? registers.rsi : registers.rdi);
  if (path.starts_with("/")) return path;
  std::string directory = path_of(pid, call.place == Place::kAt ? fd : AT_FDCWD);
  return path.empty() ? directory : directory + "/" + path;
}

TracedCall describe(pid_t pid, const Watched& call, const user_regs_struct& registers) {
  TracedCall described{.name = call.name, .path = path_of_call(pid, call, registers)};
  if (call.number == SYS_pread64 || call.number == SYS_pwrite64) described.offset = registers.r10;
  if (call.number == SYS_pread64 || call.number == SYS_pwrite64 || call.number == SYS_write)
    described.size = registers.rdx;
  return described;
}

void decide(pid_t pid, const OnCall& on_call) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
  const Watched* call = watched(registers.orig_rax);
  if (call == nullptr) return;
  Verdict verdict = on_call(describe(pid, *call, registers));
  if (verdict.kill) {
    ::kill(pid, SIGKILL);
    return;
  }
  if (verdict.errno_value != 0) {
    registers.orig_rax = ~0ULL;  // no call at all
    registers.rax = static_cast<uint64_t>(-int64_t{verdict.errno_value});
  } else if (verdict.size) {
    registers.rdx = *verdict.size;
  } else {
    return;
  }
  (void)::ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
}

// Kills `pid` at the end of the time limit.
class Watchdog {
 public:
  Watchdog(pid_t pid, int limit_ms) : thread_([this, pid, limit_ms] { watch(pid, limit_ms); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { end(); }

  // Whether it had to kill.
  bool end() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    return killed_;
  }

 private:
  void watch(pid_t pid, int limit_ms) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::milliseconds(limit_ms), [this] { return ended_; }))
      return;
    killed_ = true;
    ::kill(pid, SIGKILL);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  bool killed_ = false;
  std::thread thread_;
};

// Runs the child, which is stopped, to its end; returns its wait status.
int trace(pid_t pid, const OnCall& on_call) {
  while (true) {
    int status = 0;
    pid_t thread = ::waitpid(-pid, &status, __WALL);  // its process group
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) throw std::runtime_error("the traced program is lost");
    if (!WIFSTOPPED(status)) {
      if (thread == pid) return status;
      continue;
    }
    int signal = WSTOPSIG(status);
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) decide(thread, on_call);
    // New threads begin with a stop; events come as a trap.
    if (signal == SIGTRAP || signal == SIGSTOP) signal = 0;
    (void)::ptrace(PTRACE_CONT, thread, nullptr, signal);
  }
}

}  // namespace

Outcome run_traced(const std::vector<std::string>& arguments, const OnCall& on_call, int limit_ms) {
  CapturedOutput out;
  CapturedOutput err;
  std::vector<char*> argv = pointers_to(arguments);
  std::vector<std::string> environment = environment_without_leak_checker();
  std::vector<char*> envp = pointers_to(environment);
  std::vector<sock_filter> filter = make_filter();
  sock_fprog program{.len = static_cast<unsigned short>(filter.size()), .filter = filter.data()};
  pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) become(argv.data(), envp.data(), program, out.fd(), err.fd());
  int status = 0;
  constexpr int kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
      ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions) != 0 ||
      ::ptrace(PTRACE_CONT, pid, nullptr, 0) != 0)
    throw std::runtime_error("cannot trace");
  Outcome outcome;
  Watchdog watchdog(pid, limit_ms);
  status = trace(pid, on_call);
  outcome.timed_out = watchdog.end();
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = out.text();
  outcome.err = err.text();
  return outcome;
}

}  // namespace dw::test
