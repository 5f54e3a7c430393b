// How every command ends that gets no further than its options.
#pragma once

#include <cstdio>
#include <optional>

#include "capture/base/result.h"
#include "capture/cli/exit_status.h"
#include "capture/report/message.h"

namespace dw {

// Says what is wrong with the options, or prints the help that they ask for, and returns the exit
// status. Nothing if the command is to run. `Options` has a bool `help`.
template <typename Options>
std::optional<int> end_with_options(const Result<Options>& options, const char* help) {
  if (!options.ok()) {
    print_error(options.error());
    return kExitUsage;
  }
  if (!options->help) return std::nullopt;
  std::fputs(help, stdout);
  return kExitComplete;
}

}  // namespace dw
