#include "capture/cli/verify_options.h"

#include <optional>
#include <string_view>

#include "capture/base/numbers.h"
#include "capture/pipeline/pipeline.h"

namespace dw {

namespace {

Error usage(const char* what, std::string_view subject) {
  return Error(ErrorKind::kUsage, what).on(subject).hint("see dumpwright verify --help");
}

Status set_threads(std::string_view value, VerifyCommandOptions& options) {
  std::optional<uint64_t> threads = parse_number(value, 1, Pipeline::kMaxThreads);
  if (!threads) return usage("--threads is a number from 1 to 30", value);
  options.threads = static_cast<unsigned>(*threads);
  return {};
}

}  // namespace

Result<VerifyCommandOptions> parse_verify_options(std::span<const char* const> arguments) {
  constexpr std::string_view kThreads = "--threads";
  VerifyCommandOptions options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument == kThreads) {
      if (i + 1 == arguments.size()) return usage("the option needs a value", argument);
      DW_TRY(set_threads(arguments[++i], options));
    } else if (argument.starts_with("--threads=")) {
      DW_TRY(set_threads(argument.substr(kThreads.size() + 1), options));
    } else if (argument.starts_with('-')) {
      return usage("no such option", argument);
    } else if (!options.dump.empty()) {
      return usage("is one dump too many", argument);
    } else {
      options.dump = argument;
    }
  }
  if (options.dump.empty() && !options.help)
    return Error(ErrorKind::kUsage, "name the dump to verify").hint("see dumpwright verify --help");
  return options;
}

}  // namespace dw
