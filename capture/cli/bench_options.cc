#include "capture/cli/bench_options.h"

#include <cstdlib>
#include <optional>
#include <string_view>

#include "capture/base/numbers.h"
#include "capture/pipeline/pipeline.h"

namespace dw {

namespace {

// Less than a batch stands for nothing; more than this is no sample any more.
constexpr uint64_t kMinSampleBytes = 1 << 20;
constexpr uint64_t kMaxSampleBytes = uint64_t{4} << 30;
constexpr double kMinSeconds = 0.001;
constexpr double kMaxSeconds = 600;

Error usage(const char* what, std::string_view subject) {
  return Error(ErrorKind::kUsage, what).on(subject).hint("see dumpwright bench --help");
}

Status set_dump_level(BenchOptions& options, const std::string& value) {
  auto level = parse_number(value, 0, kMaxDumpLevel);
  if (!level) return usage("the dump level is a number from 0 to 31", value);
  options.dump_level = static_cast<unsigned>(*level);
  return {};
}

Status set_threads(BenchOptions& options, const std::string& value) {
  auto threads = parse_number(value, 1, Pipeline::kMaxThreads);
  if (!threads) return usage("--threads is a number from 1 to 30", value);
  options.threads = static_cast<unsigned>(*threads);
  return {};
}

Status set_sample(BenchOptions& options, const std::string& value) {
  auto bytes = parse_bytes(value);
  if (!bytes || *bytes < kMinSampleBytes || *bytes > kMaxSampleBytes)
    return usage("--sample is a number of bytes from 1M to 4G; K, M or G may follow", value);
  options.sample_bytes = *bytes;
  return {};
}

Status set_seconds(BenchOptions& options, const std::string& value) {
  // strtod() takes blanks, hexadecimal numbers and names of infinity as well.
  bool plain = !value.empty() && value.find_first_not_of("0123456789.") == value.npos;
  char* end = nullptr;
  double seconds = plain ? std::strtod(value.c_str(), &end) : 0;
  if (!plain || *end != '\0' || seconds < kMinSeconds || seconds > kMaxSeconds)
    return usage("--seconds is a number from 0.001 to 600", value);
  options.seconds = seconds;
  return {};
}

struct ValueOption {
  std::string_view name;
  Status (*set)(BenchOptions&, const std::string&);
};
constexpr ValueOption kValueOptions[] = {
    {"-d", set_dump_level},   {"--dump-level", set_dump_level}, {"--threads", set_threads},
    {"--sample", set_sample}, {"--seconds", set_seconds},
};

// As `capture` names its targets.
Result<std::string> directory_of(std::string_view target) {
  constexpr std::string_view kFile = "file:";
  if (target.starts_with(kFile)) target.remove_prefix(kFile.size());
  size_t colon = target.find(':');
  if (target == "-" || (colon != target.npos && colon < target.find('/')))
    return Error(ErrorKind::kUsage, "bench cannot measure this kind of target")
        .on(target)
        .hint("name a directory; one with a colon in its name as ./NAME");
  if (target.empty()) return usage("a target without a directory", target);
  return std::string(target);
}

Status set_operand(BenchOptions& options, std::string_view operand) {
  if (options.source.empty()) {
    options.source = operand;
  } else if (options.target.empty()) {
    DW_ASSIGN(options.target, directory_of(operand));
  } else {
    return usage("bench takes one vmcore and one target", operand);
  }
  return {};
}

// Splits "--name=value" and "-dVALUE".
std::optional<std::string> attached_value(std::string& name) {
  bool level = name.starts_with("-d") && name.size() > 2;
  size_t end = level ? 2 : name.find('=');
  if (end == std::string::npos) return std::nullopt;
  std::string value = name.substr(level ? end : end + 1);
  name.resize(end);
  return value;
}

const ValueOption* find_option(std::string_view name) {
  for (const ValueOption& option : kValueOptions)
    if (option.name == name) return &option;
  return nullptr;
}

}  // namespace

Result<BenchOptions> parse_bench_options(std::span<const char* const> arguments) {
  BenchOptions options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument == "-" || !argument.starts_with('-')) {
      DW_TRY(set_operand(options, argument));
    } else {
      std::optional<std::string> value = attached_value(argument);
      const ValueOption* option = find_option(argument);
      if (option == nullptr) return usage("no such option", arguments[i]);
      if (!value && i + 1 < arguments.size()) value = arguments[++i];
      if (!value) return usage("the option needs a value", argument);
      DW_TRY(option->set(options, *value));
    }
  }
  if (!options.help && options.source.empty())
    return Error(ErrorKind::kUsage, "no vmcore").hint("see dumpwright bench --help");
  return options;
}

}  // namespace dw
