// `dumpwright dmesg`: the crashed kernel's log out of a vmcore or a dump.
// Thread safety: one thread.
#pragma once

#include <span>

namespace dw {

// Returns the exit status. `arguments` are those after "dmesg".
int dmesg_command(std::span<const char* const> arguments);

}  // namespace dw
