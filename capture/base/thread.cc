#include "capture/base/thread.h"

#include <memory>
#include <new>

namespace dw {

namespace {

struct Start {
  void (*entry)(void*);
  void* argument;
};

void* run(void* raw) {
  Start start = *static_cast<Start*>(raw);
  delete static_cast<Start*>(raw);
  start.entry(start.argument);
  return nullptr;
}

// The same with every C library: musl's 128 KiB are little for a login with its cryptography, and
// glibc's 8 MiB much of a small address space. Only what is touched takes memory.
constexpr size_t kStackBytes = 512 << 10;

Status start_thread(pthread_t& thread, void (*entry)(void*), void* argument) {
  std::unique_ptr<Start> start(new (std::nothrow) Start{entry, argument});
  if (start == nullptr) return Error(ErrorKind::kNoMemory, "cannot start a thread");
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return Error::from_errno("cannot start a thread", error);
  error = pthread_attr_setstacksize(&attributes, kStackBytes);
  if (error == 0) error = pthread_create(&thread, &attributes, run, start.get());
  (void)pthread_attr_destroy(&attributes);
  if (error != 0) return Error::from_errno("cannot start a thread", error);
  (void)start.release();  // run() deletes it
  return {};
}

}  // namespace

Result<Thread> Thread::start(void (*entry)(void*), void* argument) {
  Thread thread;
  DW_TRY(start_thread(thread.thread_, entry, argument));
  thread.joinable_ = true;
  return thread;
}

Status start_detached_thread(void (*entry)(void*), void* argument) {
  pthread_t thread;
  DW_TRY(start_thread(thread, entry, argument));
  DW_CHECK(pthread_detach(thread) == 0);
  return {};
}

void Thread::join() {
  DW_CHECK(joinable_);
  joinable_ = false;
  DW_CHECK(pthread_join(thread_, nullptr) == 0);
}

}  // namespace dw
