// dumpwright check-config: whether a configuration is good, told before a crash and not after.
#pragma once

#include <span>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

// Returns the exit status. `check_for_initrd` says whether a target can be used in the standalone
// initrd; it is asked with --initrd only.
int check_config_command(std::span<const char* const> arguments,
                         Status (*check_for_initrd)(std::string_view target));

}  // namespace dw
