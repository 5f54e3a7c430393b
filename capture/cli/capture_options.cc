#include "capture/cli/capture_options.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "capture/cli/config.h"
#include "capture/report/message.h"

namespace dw {

namespace {

constexpr const char* kDefaultConfig = "/etc/dumpwright.conf";
constexpr const char* kHelpHint = "see dumpwright capture --help";

// A command line before the configuration file is read.
struct Arguments {
  std::vector<std::pair<std::string, std::string>> settings;  // configuration keys
  std::vector<std::string> targets;
  std::optional<std::string> source;
  std::optional<std::string> config_path;
  std::optional<ProgressMode> progress;
  Resume resume = Resume::kAuto;
  bool help = false;
};

Error usage(const char* what, std::string_view subject) {
  return Error(ErrorKind::kUsage, what).on(subject).hint(kHelpHint);
}

// Options that are no configuration keys.
Status set_own_option(Arguments& arguments, const std::string& name, const std::string& value) {
  if (name == "source") {
    arguments.source = value;
  } else if (name == "config") {
    arguments.config_path = value;
  } else if (name == "progress") {
    arguments.progress = parse_progress_mode(value);
    if (!arguments.progress) return usage("--progress is auto, plain, json or none", value);
  } else if (name == "resume") {
    if (value != "auto" && value != "never") return usage("--resume is auto or never", value);
    arguments.resume = value == "never" ? Resume::kNever : Resume::kAuto;
  } else if (name == "target") {
    arguments.targets.push_back(value);
  } else {
    std::string key = name;
    std::ranges::replace(key, '-', '_');
    std::vector<std::string_view> keys = config_keys();
    if (std::ranges::find(keys, key) == keys.end()) return usage("no such option", "--" + name);
    arguments.settings.emplace_back(key, value);
  }
  return {};
}

Result<Arguments> read_arguments(std::span<const char* const> raw) {
  Arguments arguments;
  for (size_t i = 0; i < raw.size(); ++i) {
    std::string_view argument = raw[i];
    if (argument == "--help" || argument == "-h") {
      arguments.help = true;
      continue;
    }
    if (argument == "-" || !argument.starts_with('-')) {
      arguments.targets.emplace_back(argument);
      continue;
    }
    bool level = argument.starts_with("-d") && !argument.starts_with("--");
    if (!level && !argument.starts_with("--")) return usage("no such option", argument);
    std::string name = level ? "dump-level" : std::string(argument.substr(2));
    std::optional<std::string> value;
    if (level && argument.size() > 2) value = argument.substr(2);
    if (size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    if (!value && i + 1 < raw.size()) value = raw[++i];
    if (!value) return usage("the option needs a value", argument);
    DW_TRY(set_own_option(arguments, name, *value));
  }
  return arguments;
}

Status read_config_file(const std::string& path, bool lenient, Config& config) {
  Result<std::string> text = read_text_file(path.c_str());
  if (!text.ok()) {
    if (!lenient) {
      Error error = text.error();
      return error.hint("name a readable configuration file");
    }
    print_warning(text.error());
    return {};
  }
  for (const ConfigProblem& problem : apply_config(config, *text)) {
    if (!lenient) return problem.error;
    print_warning(problem.error);
    print_message("warning: going on with the default: %s", problem.fallback);
  }
  return {};
}

// What the configuration allows but this program cannot do yet. Lenient: say so, use the default.
Status settle(Status status, bool lenient) {
  if (status.ok() || !lenient) return status;
  print_warning(status.error());
  return {};
}

// A choice that the configuration can name but no target can take. Lenient: both choices are ours.
Status use_saving(const Config& config, bool lenient, CaptureOptions& options) {
  Result<SavingWish> wish = parse_saving(config.format, config.compress);
  Status good = wish.ok() ? Status() : Status(wish.error());
  for (size_t i = 0; i < options.targets.size() && good.ok(); ++i)
    good = check_saving(*wish, options.targets[i]);
  if (good.ok()) {
    options.saving = *wish;
    return {};
  }
  DW_TRY(settle(good, lenient));
  print_message("warning: going on with the default format and compression");
  return {};
}

// As it is written, but a directory by its path alone. Errors kUsage for what we cannot write to.
Result<std::string> target_of(const std::string& text, bool devices) {
  DW_ASSIGN(TargetAddress address, parse_target_address(text));
  if (address.kind == TargetKind::kDevice && !devices)
    return Error(ErrorKind::kUsage, "only the standalone initrd mounts devices")
        .on(text)
        .hint("mount it and name the directory");
  if (address.kind != TargetKind::kDirectory) return text;
  return address.path == kStdoutTarget ? "./" + address.path : address.path;
}

Result<std::string> next_target(const std::string& target, bool devices,
                                const CaptureOptions& options) {
  DW_ASSIGN(std::string next, target_of(target, devices));
  // To standard output it would follow half a dump, elsewhere only fail again.
  if (is_among(options.targets, next))
    return Error(ErrorKind::kUsage, "is the same as a target before it")
        .on(target)
        .hint("name each place once");
  return next;
}

Status use_targets(const std::vector<std::string>& targets, bool lenient, bool devices,
                   CaptureOptions& options) {
  for (const std::string& target : targets) {
    Result<std::string> next = next_target(target, devices, options);
    if (next.ok())
      options.targets.push_back(*next);
    else
      DW_TRY(settle(next.error(), lenient));
  }
  if (options.targets.empty())
    return Error(ErrorKind::kUsage, "no target").hint("name a directory for the dump");
  return {};
}

StoreOptions store_options(const Config& config) {
  StoreOptions stores{.times = {},
                      .ssh_key = config.ssh_key,
                      .ssh_known_hosts = config.ssh_known_hosts,
                      .ssh_connections = static_cast<unsigned>(config.ssh_connections.value_or(0)),
                      .nfs_version = {},
                      .little_memory = false};
  auto set_ms = [](uint32_t& ms, const std::optional<uint64_t>& seconds) {
    if (seconds) ms = static_cast<uint32_t>(*seconds * 1000);
  };
  set_ms(stores.times.connect_ms, config.connect_timeout_s);
  set_ms(stores.times.reply_ms, config.reply_timeout_s);
  set_ms(stores.times.sync_ms, config.sync_timeout_s);
  if (config.nfs_version) stores.nfs_version = static_cast<int>(*config.nfs_version);
  return stores;
}

}  // namespace

bool is_crash(const CaptureOptions& options) { return options.source == "/proc/vmcore"; }

Result<CaptureOptions> parse_capture_options(std::span<const char* const> raw, bool devices) {
  DW_ASSIGN(Arguments arguments, read_arguments(raw));
  CaptureOptions options;
  options.help = arguments.help;
  if (options.help) return options;
  if (arguments.source) options.source = *arguments.source;
  if (arguments.progress) options.progress = *arguments.progress;

  options.resume = arguments.resume;

  bool lenient = is_crash(options);
  Config config;
  if (!arguments.config_path && ::access(kDefaultConfig, F_OK) == 0)
    arguments.config_path = kDefaultConfig;
  if (arguments.config_path) DW_TRY(read_config_file(*arguments.config_path, lenient, config));
  for (const auto& [key, value] : arguments.settings) {
    Status set = set_config(config, key, value);
    if (!set.ok()) {
      Error error = set.error();
      return error.hint(kHelpHint);
    }
  }
  if (config.dump_level) options.dump_level = static_cast<int>(*config.dump_level);
  if (config.threads)
    options.threads = static_cast<unsigned>(std::min<uint64_t>(*config.threads, 4096));
  if (config.memory_limit) options.memory_limit = *config.memory_limit;
  options.hostname = config.hostname;
  if (config.retry_for_s) options.retry_for_s = *config.retry_for_s;
  options.stores = store_options(config);
  DW_TRY(use_targets(arguments.targets.empty() ? config.targets : arguments.targets, lenient,
                     devices, options));
  DW_TRY(use_saving(config, lenient, options));
  return options;
}

}  // namespace dw
