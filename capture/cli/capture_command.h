// dumpwright capture: saves a vmcore. Returns the exit status.
#pragma once

#include <span>

namespace dw {

int capture_command(std::span<const char* const> arguments);

}  // namespace dw
