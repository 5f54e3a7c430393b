// dumpwright bench: how fast this machine would save a vmcore, and how to do it best. Returns the
// exit status.
#pragma once

#include <span>

namespace dw {

int bench_command(std::span<const char* const> arguments);

}  // namespace dw
