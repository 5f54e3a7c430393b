// dumpwright check-config: whether a configuration is good, told before a crash and not after.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

// What is known of targets by whoever makes initrds.
struct InitrdTargets {
  // As one is to have it: a directory of this machine as its device. An error if it cannot be used.
  Result<std::string> (*resolve)(std::string_view target);
  // The path by which udev calls its device; empty: it is on none.
  std::string (*device)(std::string_view target);
  // The same for all ways to write it.
  std::string (*place)(std::string_view target);
};

// Returns the exit status.
int check_config_command(std::span<const char* const> arguments, const InitrdTargets& initrd);

}  // namespace dw
