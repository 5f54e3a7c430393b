// The kernel's command line, cut into parameters as the kernel itself does.
//
// `dumpwright.KEY=VALUE` overrides the configuration; `MODULE.PARAMETER=VALUE` is for a module, and
// the kernel leaves passing it on to whoever loads the module.
// Thread safety: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/cli/config.h"

namespace dw {

struct BootParameter {
  std::string name;
  std::optional<std::string> value;  // nothing: there was no '='
};

inline constexpr size_t kMaxBootParameters = 1024;

// Follows next_arg() in lib/cmdline.c: blanks separate, double quotes keep them together.
std::vector<BootParameter> parse_command_line(std::string_view text);

// Sets every `dumpwright.KEY=VALUE`. The first target given here replaces those configured before.
std::vector<ConfigProblem> apply_command_line(Config& config,
                                              const std::vector<BootParameter>& parameters);

// "A=1 B" for the parameters `MODULE.A=1` and `MODULE.B`, where '-' and '_' are the same.
std::string module_parameters(const std::vector<BootParameter>& parameters,
                              std::string_view module);

}  // namespace dw
