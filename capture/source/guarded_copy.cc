#include "capture/source/guarded_copy.h"

#include <atomic>
#include <csetjmp>
#include <csignal>

namespace dw {

namespace {

thread_local sigjmp_buf* volatile current_guard = nullptr;

void on_sigbus(int signal_number) {
  if (current_guard != nullptr) siglongjmp(*current_guard, 1);
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

}  // namespace

Status install_sigbus_guard() {
  struct sigaction action {};
  action.sa_handler = on_sigbus;
  // Not blocked while it runs: siglongjmp then has no signal mask to restore, which would be a
  // system call for each copy.
  action.sa_flags = SA_NODEFER;
  if (::sigaction(SIGBUS, &action, nullptr) != 0)
    return Error::from_errno("cannot install the SIGBUS handler");
  return {};
}

bool guarded_copy(MutableBytes into, Bytes from) {
  DW_CHECK(into.size() == from.size());
  sigjmp_buf guard;
  if (sigsetjmp(guard, 0) != 0) {
    current_guard = nullptr;
    return false;
  }
  current_guard = &guard;
  std::memcpy(into.data(), from.data(), from.size());
  // The copy may not move past the end of its guard.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  current_guard = nullptr;
  return true;
}

}  // namespace dw
