// dumpwright verify: whether a dump is what was written, and what of it is damaged.
#pragma once

#include <span>

namespace dw {

// Returns the exit status.
int verify_command(std::span<const char* const> arguments);

}  // namespace dw
