#include "capture/cli/convert_options.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "capture/cli/config.h"
#include "capture/format/writer_factory.h"

namespace dw {

namespace {

constexpr const char* kHelpHint = "see dumpwright convert --help";

Error usage(const char* what, std::string_view subject) {
  return Error(ErrorKind::kUsage, what).on(subject).hint(kHelpHint);
}

// Values are checked as those of the configuration are.
Status set_option(std::string_view name, std::string_view value, Config& config,
                  ConvertOptions& options) {
  if (name == "progress") {
    std::optional<ProgressMode> mode = parse_progress_mode(value);
    if (!mode) return usage("--progress is auto, plain, json or none", value);
    options.progress = *mode;
    return {};
  }
  std::string key(name);
  std::ranges::replace(key, '-', '_');
  constexpr std::string_view kKeys[] = {"format", "compress", "threads", "memory_limit"};
  if (std::ranges::find(kKeys, key) == std::end(kKeys))
    return usage("no such option", "--" + std::string(name));
  Status set = set_config(config, key, value);
  if (set.ok()) return {};
  Error error = set.error();
  return error.hint(kHelpHint);
}

Status read_arguments(std::span<const char* const> raw, Config& config,
                      std::vector<std::string>& files, ConvertOptions& options) {
  for (size_t i = 0; i < raw.size(); ++i) {
    std::string_view argument = raw[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument == "-" || !argument.starts_with('-')) {
      files.emplace_back(argument);
    } else if (!argument.starts_with("--")) {
      return usage("no such option", argument);
    } else if (size_t equals = argument.find('='); equals != std::string_view::npos) {
      DW_TRY(
          set_option(argument.substr(2, equals - 2), argument.substr(equals + 1), config, options));
    } else if (i + 1 == raw.size()) {
      return usage("the option needs a value", argument);
    } else {
      DW_TRY(set_option(argument.substr(2), raw[++i], config, options));
    }
  }
  return {};
}

Status settle(const Config& config, ConvertOptions& options) {
  options.as_it_is = config.format.empty() && config.compress.empty();
  if (options.output == "-") options.format = DumpFormat::kStream;
  if (!config.format.empty()) options.format = *parse_dump_format(config.format);
  if (options.format == DumpFormat::kElf) options.compression.compression = Compression::kNone;
  if (!config.compress.empty()) {
    DW_ASSIGN(options.compression, parse_compression(config.compress));
  }
  DW_TRY(check_compression(options.format, options.compression.compression));
  // A file takes every format.
  if (options.output == "-") DW_TRY(check_target(options.format, false));
  if (config.threads) options.threads = static_cast<unsigned>(*config.threads);
  if (config.memory_limit) options.memory_limit = *config.memory_limit;
  return {};
}

}  // namespace

Result<ConvertOptions> parse_convert_options(std::span<const char* const> arguments) {
  ConvertOptions options;
  Config config;
  std::vector<std::string> files;
  DW_TRY(read_arguments(arguments, config, files, options));
  if (options.help) return options;
  if (files.size() != 2 || files[0].empty() || files[1].empty())
    return Error(ErrorKind::kUsage, "name the dump to read and the file to write").hint(kHelpHint);
  options.input = files[0];
  options.output = files[1];
  DW_TRY(settle(config, options));
  return options;
}

}  // namespace dw
