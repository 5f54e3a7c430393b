// `dumpwright convert IN OUT`: the same dump in another format or compression.
#pragma once

#include <span>

namespace dw {

// `arguments` are those behind the command's name. Returns the exit status.
int convert_command(std::span<const char* const> arguments);

}  // namespace dw
