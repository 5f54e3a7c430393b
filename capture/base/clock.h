// Time that only goes forward. Thread safety: pure.
#pragma once

#include <time.h>

#include <cstdint>

namespace dw {

// Milliseconds since some fixed moment.
[[nodiscard]] inline uint64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace dw
