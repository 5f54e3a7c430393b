#include "capture/base/thread.h"

#include <doctest/doctest.h>

#include <atomic>

#include "capture/base/system.h"

using namespace dw;

TEST_CASE("thread: runs what it was given, once") {
  std::atomic<int> calls = 0;
  Result<Thread> thread =
      Thread::start([](void* argument) { ++*static_cast<std::atomic<int>*>(argument); }, &calls);
  REQUIRE(thread.ok());
  Thread moved = std::move(*thread);
  moved.join();
  CHECK(calls == 1);
}

TEST_CASE("system: at least one CPU, and some memory") {
  CHECK(usable_cpus() >= 1);
  CHECK(available_memory_bytes().value_or(0) > 1 << 20);
}
