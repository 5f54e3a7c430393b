#include "capture/cli/check_config_command.h"

#include <fcntl.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "capture/cli/config.h"
#include "capture/cli/config_files.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/saving.h"
#include "capture/report/message.h"
#include "capture/target/address.h"
#include "capture/target/raw/raid_member.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright check-config [--initrd | --get KEY | --devices | --hosts | --packed] FILE\n"
    "Prints every problem of a configuration, as FILE:LINE: PROBLEM.\n"
    "  --initrd  it is for an initrd: every target must be a device (dev:...:/DIR, raw:...),\n"
    "            on a server (ssh://, nfs://), or a directory on ext4 or xfs, none on a disk\n"
    "            that belongs, or belonged, to a RAID, and the files\n"
    "            that ssh_key and ssh_known_hosts name have to be fit to be used, with a key\n"
    "            of each SSH server\n"
    "For scripts, instead of problems:\n"
    "  --get KEY the value that it gives KEY, or nothing; targets one per line\n"
    "  --devices of each target on a device: the device's path and the target\n"
    "  --hosts   the names and addresses of the targets' servers\n"
    "  --packed  the file as an initrd is to have it: directories of this machine as dev:UUID=...\n"
    "Exit status: 0 good, 1 the file cannot be read, 2 it has problems.\n";

constexpr const char* kTargetHint =
    "add a line such as: target dev:UUID=U:/DIR, target raw:PARTUUID=P, target ssh://USER@HOST/DIR";

struct Options {
  const char* path = nullptr;
  std::string_view get;  // a key
  bool devices = false;
  bool hosts = false;
  bool packed = false;
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
    } else if (argument == "--devices") {
      options.devices = true;
    } else if (argument == "--hosts") {
      options.hosts = true;
    } else if (argument == "--packed") {
      options.packed = true;
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

// Prints what is wrong with a line, and says whether nothing is.
bool tell(const char* path, uint64_t line, const Status& status) {
  if (status.ok()) return true;
  Error error = status.error();
  print_problem(path, error.at(Where::kLine, line));
  return false;
}

// Format and compression are good values each, but may not go together, or not with a target.
Status check_saving_of(const Config& config) {
  DW_ASSIGN(SavingWish wish, parse_saving(config.format, config.compress));
  if (config.targets.empty()) return check_saving(wish, "/var/crash");
  for (const std::string& target : config.targets) DW_TRY(check_saving(wish, target));
  return {};
}

// The error is about one of the two, by its value.
bool tell_saving(const char* path, std::string_view text, const Config& config) {
  Status status = check_saving_of(config);
  bool format = !status.ok() && status.error().subject() == config.format;
  std::vector<ConfigValue> values = config_values(text, format ? "format" : "compress");
  return tell(path, values.empty() ? 0 : values.back().line, status);
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

// Whoever writes to it after the crash refuses what belongs to a RAID. What cannot be opened now
// may be attached then.
Status refuse_raid_member(const std::string& target, const InitrdTargets& initrd) {
  std::string device = initrd.device(target);
  auto address = parse_target_address(target);
  if (device.empty() || (address.ok() && address->force)) return {};
  auto file = open_file(device.c_str(), O_RDONLY | O_NONBLOCK);
  if (!file.ok() || !belongs_to_raid(file->get())) return {};
  return raid_member_error(device);
}

// Finds a place among the others, and puts it there.
Status check_for_initrd(const std::string& target, const InitrdTargets& initrd,
                        std::vector<std::string>& places) {
  DW_ASSIGN(std::string resolved, initrd.resolve(target));
  std::string place = initrd.place(resolved);
  if (std::ranges::find(places, place) != places.end())
    return Error(ErrorKind::kUsage, "is the same as a target above").on(target);
  places.push_back(std::move(place));
  return refuse_raid_member(resolved, initrd);
}

// Returns whether all is well; prints what is not.
bool check_targets(const char* path, std::string_view text, const Config& config,
                   const InitrdTargets* initrd) {
  bool good = true;
  if (initrd != nullptr && config.targets.empty())
    good = tell(path, 0, Error(ErrorKind::kUsage, "no target is set").hint(kTargetHint));
  std::vector<std::string> places;
  for (const ConfigValue& target : config_values(text, "target")) {
    Status status = check_target(config, target.value);
    if (status.ok() && initrd != nullptr) status = check_for_initrd(target.value, *initrd, places);
    good = tell(path, target.line, status) && good;
  }
  return good;
}

bool check_servers_are_known(const char* path, std::string_view text, const Config& config) {
  bool good = true;
  for (const ConfigValue& target : config_values(text, "target")) {
    auto address = parse_target_address(target.value);
    if (!address.ok()) continue;
    good = tell(path, target.line, check_server_is_known(*address, config.ssh_known_hosts)) && good;
  }
  return good;
}

bool is_ssh(const std::string& target) {
  auto address = parse_target_address(target);
  return address.ok() && address->kind == TargetKind::kSsh;
}

bool check_files(const char* path, std::string_view text, const Config& config) {
  if (std::ranges::none_of(config.targets, is_ssh)) return true;
  bool good = true;
  for (const ConfigValue& file : config_values(text, "ssh_key"))
    good = tell(path, file.line, check_key_file(file.value)) && good;
  for (const ConfigValue& file : config_values(text, "ssh_known_hosts"))
    good = tell(path, file.line, check_known_hosts(file.value)) &&
           check_servers_are_known(path, text, config) && good;
  return good;
}

void print_values(std::string_view text, std::string_view key) {
  for (const ConfigValue& value : config_values(text, key))
    std::printf("%s\n", value.value.c_str());
}

void print_devices(std::string_view text, const InitrdTargets& initrd) {
  for (const ConfigValue& target : config_values(text, "target")) {
    std::string device = initrd.device(target.value);
    if (!device.empty()) std::printf("%s %s\n", device.c_str(), target.value.c_str());
  }
}

void print_hosts(std::string_view text) {
  std::vector<std::string> told;
  for (const ConfigValue& target : config_values(text, "target")) {
    auto address = parse_target_address(target.value);
    if (!address.ok() || !is_on_network(address->kind)) continue;
    if (std::ranges::find(told, address->host) != told.end()) continue;
    std::printf("%s\n", address->host.c_str());
    told.push_back(address->host);
  }
}

// Line by line, so that problems have the same numbers in it. Whether all targets could be
// resolved.
bool print_packed(const char* path, std::string_view text, const InitrdTargets& initrd) {
  std::vector<ConfigValue> targets = config_values(text, "target");
  auto next = targets.begin();
  bool good = true;
  for (uint64_t number = 1; !text.empty(); ++number) {
    std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (next != targets.end() && next->line == number) {
      auto target = initrd.resolve(next->value);
      good = tell(path, number, target.ok() ? Status() : target.error()) && good;
      if (target.ok() && *target != next->value) line = "target " + *target;
      ++next;
    }
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stdout);
  }
  return good;
}

// Nothing: the options ask for problems instead.
std::optional<int> print_for_scripts(const Options& options, std::string_view text,
                                     const InitrdTargets& initrd) {
  if (!options.get.empty()) print_values(text, options.get);
  if (options.devices) print_devices(text, initrd);
  if (options.hosts) print_hosts(text);
  if (options.packed && !print_packed(options.path, text, initrd)) return kExitUsage;
  if (options.get.empty() && !options.devices && !options.hosts && !options.packed)
    return std::nullopt;
  return kExitComplete;
}

}  // namespace

int check_config_command(std::span<const char* const> arguments, const InitrdTargets& initrd) {
  Result<Options> options = parse_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  auto text = read_text_file(options->path);
  if (!text.ok()) {
    print_error(text.error());
    return kExitNothing;
  }
  if (std::optional<int> status = print_for_scripts(*options, *text, initrd)) return *status;
  Config config;
  auto problems = apply_config(config, *text);
  for (const ConfigProblem& problem : problems) print_problem(options->path, problem.error);
  bool saving = tell_saving(options->path, *text, config);
  bool targets =
      check_targets(options->path, *text, config, options->for_initrd ? &initrd : nullptr);
  bool files = !options->for_initrd || check_files(options->path, *text, config);
  return problems.empty() && saving && targets && files ? kExitComplete : kExitUsage;
}

}  // namespace dw
