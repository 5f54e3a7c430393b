// How fast a target takes a dump: a test file is written as a dump would be, and removed.
//
// Thread safety: one thread; catches SIGINT, SIGTERM and SIGHUP meanwhile, to remove the file
// first.
#pragma once

#include <cstdint>
#include <string>

#include "capture/base/result.h"

namespace dw {

struct TargetLimits {
  uint64_t bytes = 256 << 20;
  uint64_t time_ms = 5000;
};

struct TargetSpeed {
  std::string path;
  uint64_t bytes = 0;       // written
  uint64_t elapsed_ns = 0;  // with all syncs
  uint64_t free_bytes = 0;  // before
  bool filled = false;      // it ran out of space while it was measured

  [[nodiscard]] double mb_per_s() const {
    return elapsed_ns == 0 ? 0
                           : static_cast<double>(bytes) * 1000 / static_cast<double>(elapsed_ns);
  }
};

// At most half of the free space is used. `directory` must exist; nothing that stands there is
// touched, and nothing stays. Errors name the target.
Result<TargetSpeed> measure_target(const std::string& directory, const TargetLimits& limits = {});

}  // namespace dw
