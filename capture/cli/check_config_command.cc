#include "capture/cli/check_config_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

#include "capture/cli/config.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/saving.h"
#include "capture/report/message.h"
#include "capture/target/address.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright check-config [--initrd] [--get KEY] FILE\n"
    "Prints every problem of a configuration, as FILE:LINE: PROBLEM.\n"
    "  --initrd  it is for the standalone initrd: every target must be a device\n"
    "            (dev:...:/DIR or raw:/dev/X) or on a server (ssh://, nfs://), and the files\n"
    "            that ssh_key and ssh_known_hosts name have to be fit to be used\n"
    "  --get KEY instead: the value that it gives KEY, for scripts; nothing if it gives none;\n"
    "            targets one per line\n"
    "Exit status: 0 good, 1 the file cannot be read, 2 it has problems.\n";

struct Options {
  const char* path = nullptr;
  std::string_view get;  // a key
  bool for_initrd = false;
  bool help = false;
};

Result<std::string_view> key_behind(std::span<const char* const> arguments, size_t option) {
  std::string_view key = option + 1 < arguments.size() ? arguments[option + 1] : "";
  std::vector<std::string_view> keys = config_keys();
  if (std::ranges::find(keys, key) == keys.end())
    return Error(ErrorKind::kUsage, "needs a key that a configuration may have").on("--get");
  return key;
}

Result<Options> parse_options(std::span<const char* const> arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (argument == "--initrd") {
      options.for_initrd = true;
    } else if (argument == "--get") {
      DW_ASSIGN(options.get, key_behind(arguments, i++));
    } else if (argument.starts_with('-')) {
      return Error(ErrorKind::kUsage, "is no option of check-config").on(argument);
    } else if (options.path != nullptr) {
      return Error(ErrorKind::kUsage, "is one file too many").on(argument);
    } else {
      options.path = argument.data();
    }
  }
  if (options.path == nullptr && !options.help)
    return Error(ErrorKind::kUsage, "no file is given").on("check-config");
  return options;
}

// "FILE:LINE: KEY VALUE: what is wrong"; the line is not repeated at the end.
void print_problem(const char* path, Error error) {
  char text[400];
  uint64_t line = error.where() == Where::kLine ? error.position() : 0;
  error.at(Where::kNowhere, 0).format(text, sizeof(text));
  if (line > 0)
    print_message("%s:%" PRIu64 ": %s", path, line, text);
  else
    print_message("%s: %s", path, text);
}

// Format and compression are good values each, but may not go together, or not with a target.
Status check_saving_of(const Config& config) {
  DW_ASSIGN(SavingWish wish, parse_saving(config.format, config.compress));
  if (config.targets.empty()) return check_saving(wish, "/var/crash");
  for (const std::string& target : config.targets) DW_TRY(check_saving(wish, target));
  return {};
}

// What a target needs besides its own line.
Status check_target(const Config& config, const std::string& target) {
  DW_ASSIGN(TargetAddress address, parse_target_address(target));
  if (address.kind != TargetKind::kSsh) return {};
  if (config.ssh_key.empty())
    return Error(ErrorKind::kUsage, "needs a key").on(target).hint("set ssh_key");
  if (config.ssh_known_hosts.empty())
    return Error(ErrorKind::kUsage, "needs to know its host")
        .on(target)
        .hint("set ssh_known_hosts; ssh-keyscan makes such a file");
  return {};
}

using CheckTarget = Status (*)(std::string_view target);

// Prints what is wrong with a line, and says whether nothing is.
bool tell(const char* path, uint64_t line, const Status& status) {
  if (status.ok()) return true;
  Error error = status.error();
  print_problem(path, error.at(Where::kLine, line));
  return false;
}

// Returns whether all is well; prints what is not.
bool check_targets(const char* path, std::string_view text, const Config& config,
                   CheckTarget check_more) {
  bool good = true;
  for (const ConfigValue& target : config_values(text, "target")) {
    Status status = check_target(config, target.value);
    if (status.ok() && check_more != nullptr) status = check_more(target.value);
    good = tell(path, target.line, status) && good;
  }
  return good;
}

// A file that the initrd will hold at the same path.
Status check_packed_file(const std::string& file, bool secret) {
  struct stat about {};
  if (!file.starts_with('/') || file.find("/../") != file.npos || file.ends_with("/.."))
    return Error(ErrorKind::kUsage, "is no absolute path without '..'").on(file);
  if (::stat(file.c_str(), &about) != 0) return Error::from_errno("cannot be used").on(file);
  if (!S_ISREG(about.st_mode)) return Error(ErrorKind::kUsage, "is not a file").on(file);
  if (about.st_size == 0) return Error(ErrorKind::kUsage, "is empty").on(file);
  if (secret && (about.st_mode & 077) != 0)
    return Error(ErrorKind::kUsage, "may be read by others than its owner")
        .on(file)
        .hint("chmod 600 it; if others have read it, make a new key");
  return {};
}

bool is_ssh(const std::string& target) {
  auto address = parse_target_address(target);
  return address.ok() && address->kind == TargetKind::kSsh;
}

bool check_files(const char* path, std::string_view text, const Config& config) {
  if (std::ranges::none_of(config.targets, is_ssh)) return true;
  bool good = true;
  for (const ConfigValue& file : config_values(text, "ssh_key"))
    good = tell(path, file.line, check_packed_file(file.value, true)) && good;
  for (const ConfigValue& file : config_values(text, "ssh_known_hosts"))
    good = tell(path, file.line, check_packed_file(file.value, false)) && good;
  return good;
}

}  // namespace

int check_config_command(std::span<const char* const> arguments,
                         Status (*check_for_initrd)(std::string_view target)) {
  Result<Options> options = parse_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  auto text = read_text_file(options->path);
  if (!text.ok()) {
    print_error(text.error());
    return kExitNothing;
  }
  if (!options->get.empty()) {
    for (const ConfigValue& value : config_values(*text, options->get))
      std::printf("%s\n", value.value.c_str());
    return kExitComplete;
  }
  Config config;
  auto problems = apply_config(config, *text);
  for (const ConfigProblem& problem : problems) print_problem(options->path, problem.error);
  Status saving = check_saving_of(config);
  if (!saving.ok()) print_problem(options->path, saving.error());
  bool targets =
      check_targets(options->path, *text, config, options->for_initrd ? check_for_initrd : nullptr);
  bool files = !options->for_initrd || check_files(options->path, *text, config);
  return problems.empty() && saving.ok() && targets && files ? kExitComplete : kExitUsage;
}

}  // namespace dw
