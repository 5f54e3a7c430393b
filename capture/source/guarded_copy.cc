#include "capture/source/guarded_copy.h"

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <csetjmp>

namespace dw {

namespace {

thread_local sigjmp_buf* volatile current_guard = nullptr;

void on_sigbus(int signal_number, siginfo_t*, void* context) {
  if (current_guard != nullptr) {
    // The mask is put back here, where a page was lost, and not by siglongjmp, which would need a
    // system call for each copy. SA_NODEFER would not do: ThreadSanitizer blocks everything.
    ::pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
    siglongjmp(*current_guard, 1);
  }
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

}  // namespace

Status install_sigbus_guard() {
  struct sigaction action {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO;
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
