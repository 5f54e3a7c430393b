// A thread whose creation can fail without ending the program (an std::thread that cannot start
// throws, and without exceptions that aborts).
//
// Ownership: the Thread must be joined before it is destroyed; a forgotten join stops the program.
#pragma once

#include <pthread.h>

#include <utility>

#include "capture/base/result.h"

namespace dw {

class Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept
      : thread_(other.thread_), joinable_(std::exchange(other.joinable_, false)) {}
  Thread& operator=(Thread&&) = delete;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { DW_CHECK(!joinable_); }

  // Runs entry(argument) on a new thread. `argument` must outlive it.
  static Result<Thread> start(void (*entry)(void*), void* argument);
  void join();

 private:
  pthread_t thread_{};
  bool joinable_ = false;
};

// Runs entry(argument) on a thread that nobody waits for: it must own what it uses.
Status start_detached_thread(void (*entry)(void*), void* argument);

}  // namespace dw
