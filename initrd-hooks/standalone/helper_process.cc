#include "initrd-hooks/standalone/helper_process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <new>

#include "initrd-hooks/standalone/progress.h"

namespace dw {

namespace {

enum ExitStatus : int { kDone, kFailed };

}  // namespace

// Written by the child before it exits. An Error is plain data, and the literals in it lie at the
// same addresses in both processes.
struct HelperProcess::Shared {
  Error error{ErrorKind::kIo, "ended without a word"};
  char text[PATH_MAX] = {};
};

Result<std::unique_ptr<HelperProcess>> HelperProcess::start(const Work& work, int64_t limit_ms) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Error::from_errno("cannot share memory with a process");
  std::unique_ptr<HelperProcess> helper(
      new HelperProcess(new (memory) Shared, shared_clock_ms() + limit_ms));
  pid_t parent = ::getpid();
  helper->pid_ = ::fork();
  if (helper->pid_ == 0) helper->be_child(work, parent);
  if (helper->pid_ < 0) return Error::from_errno("cannot start a process");
  return helper;
}

HelperProcess::~HelperProcess() {
  if (pid_ > 0 && !reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, WNOHANG);
  }
  ::munmap(shared_, sizeof(Shared));
}

void HelperProcess::be_child(const Work& work, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kFailed);
  Result<std::string> result = work();
  if (!result.ok()) {
    shared_->error = result.error();
    ::_exit(kFailed);
  }
  size_t size = std::min(result->size(), sizeof(shared_->text) - 1);
  std::copy_n(result->data(), size, shared_->text);
  ::_exit(kDone);
}

Result<std::string> HelperProcess::result_of(int status) const {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) return std::string(shared_->text);
  if (WIFEXITED(status)) return shared_->error;
  return Error(ErrorKind::kIo, "something killed the process that made it ready")
      .hint("see the kernel's messages above");
}

const std::optional<Result<std::string>>& HelperProcess::outcome() {
  if (outcome_) return outcome_;
  int status = 0;
  pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == pid_ || (ended < 0 && errno == ECHILD)) {
    reaped_ = true;
    outcome_ = result_of(status);
  } else if (shared_clock_ms() >= deadline_ms_) {
    ::kill(pid_, SIGKILL);
    outcome_ = Error(ErrorKind::kTimeout, "is not ready in time: it hangs");
  }
  return outcome_;
}

}  // namespace dw
