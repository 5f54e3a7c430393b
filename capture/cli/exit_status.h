// Exit statuses of every command, as in README.md.
#pragma once

#include "capture/base/result.h"

namespace dw {

inline constexpr int kExitComplete = 0;
inline constexpr int kExitNothing = 1;     // nothing saved, or the file cannot be read
inline constexpr int kExitUsage = 2;       // command line or configuration
inline constexpr int kExitIncomplete = 3;  // saved, but pages are missing

[[nodiscard]] inline int exit_status_of(const Error& error) {
  return error.kind() == ErrorKind::kUsage ? kExitUsage : kExitNothing;
}

}  // namespace dw
