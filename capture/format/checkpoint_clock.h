// When what was appended to a dump is to be made durable: every 64 MiB or 2 seconds, whichever
// comes first. Thread safety: one thread.
#pragma once

#include <cstdint>

#include "capture/base/clock.h"

namespace dw {

class CheckpointClock {
 public:
  // `syncs` that what was appended waits for until it counts: as many checkpoints come in that
  // time.
  explicit CheckpointClock(unsigned syncs = 1)
      : bytes_(kBytes / syncs), milliseconds_(kMilliseconds / syncs) {}

  // `written`: the bytes of the dump so far.
  void restart(uint64_t written) {
    written_ = written;
    started_ms_ = monotonic_ms();
  }
  [[nodiscard]] bool due(uint64_t written) const {
    return written - written_ >= bytes_ || monotonic_ms() - started_ms_ >= milliseconds_;
  }

 private:
  static constexpr uint64_t kBytes = 64 << 20;
  static constexpr uint64_t kMilliseconds = 2000;

  uint64_t bytes_;
  uint64_t milliseconds_;
  uint64_t written_ = 0;
  uint64_t started_ms_ = 0;
};

}  // namespace dw
