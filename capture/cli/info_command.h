// dumpwright info: what a vmcore or a dump is, and how complete. Returns the exit status.
#pragma once

#include <span>

namespace dw {

int info_command(std::span<const char* const> arguments);

}  // namespace dw
