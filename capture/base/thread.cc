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

Status start_thread(pthread_t& thread, void (*entry)(void*), void* argument) {
  std::unique_ptr<Start> start(new (std::nothrow) Start{entry, argument});
  if (start == nullptr) return Error(ErrorKind::kNoMemory, "cannot start a thread");
  int error = pthread_create(&thread, nullptr, run, start.get());
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
