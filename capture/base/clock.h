// Time that only goes forward: on the wall, and as spent on a CPU. Thread safety: pure.
#pragma once

#include <time.h>

#include <cstdint>

namespace dw {

// Nanoseconds of one of the clocks of clock_gettime(2).
[[nodiscard]] inline uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

// Since some fixed moment.
[[nodiscard]] inline uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
[[nodiscard]] inline uint64_t monotonic_ms() { return monotonic_ns() / 1000000; }

// CPU time that the calling thread, or all threads of this process, have had.
[[nodiscard]] inline uint64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
[[nodiscard]] inline uint64_t process_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace dw
