#include "capture/cli/config.h"

#include <algorithm>

#include "capture/base/fd.h"
#include "capture/base/numbers.h"
#include "capture/codec/compression.h"
#include "capture/target/address.h"

namespace dw {

namespace {

constexpr size_t kMaxValueBytes = 1024;
constexpr size_t kMaxKeyBytes = 32;  // to be told
constexpr uint64_t kMaxSeconds = 7 * 24 * 3600;
constexpr uint64_t kMaxWaitSeconds = 3600;
constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

template <auto Field, uint64_t Low, uint64_t High>
bool set_number(Config& config, std::string_view value) {
  auto number = parse_number(value, Low, High);
  if (number) config.*Field = number;
  return number.has_value();
}

bool set_memory_limit(Config& config, std::string_view value) {
  auto number = parse_bytes(value);
  if (number) config.memory_limit = number;
  return number.has_value();
}

template <auto Field>
bool set_text(Config& config, std::string_view value) {
  config.*Field = value;
  return true;
}

bool set_target(Config& config, std::string_view value) {
  if (config.targets.size() >= kMaxTargets) return false;
  config.targets.emplace_back(value);
  return true;
}

bool set_format(Config& config, std::string_view value) {
  constexpr std::string_view kFormats[] = {"kdump", "stream", "elf", "flattened"};
  if (std::ranges::find(kFormats, value) == std::end(kFormats)) return false;
  config.format = value;
  return true;
}

bool set_compress(Config& config, std::string_view value) {
  bool good = parse_compression(value).ok();
  if (good) config.compress = value;
  return good;
}

template <auto Field>
bool set_action(Config& config, std::string_view value) {
  for (FinalAction action : {FinalAction::kReboot, FinalAction::kPoweroff, FinalAction::kHalt}) {
    if (value != name_of(action)) continue;
    config.*Field = action;
    return true;
  }
  return false;
}

bool set_failure_action(Config& config, std::string_view value) {
  if (value != name_of(FinalAction::kShell))
    return set_action<&Config::failure_action>(config, value);
  config.failure_action = FinalAction::kShell;
  return true;
}

bool set_hostname(Config& config, std::string_view value) {
  if (value.size() > 253 || value.find_first_of(" \t/") != value.npos) return false;
  config.hostname = value;
  return true;
}

bool set_initrd(Config& config, std::string_view value) {
  constexpr std::string_view kKinds[] = {"standalone", "initramfs-tools", "dracut",
                                         "dracut-systemd"};
  if (std::ranges::find(kKinds, value) == std::end(kKinds)) return false;
  config.initrd = value;
  return true;
}

struct Rule {
  std::string_view key;
  const char* fallback;
  const char* expects;
  bool (*set)(Config&, std::string_view);
};

constexpr const char* kSecondsExpected = "must be a number of seconds, at most a week";
constexpr const char* kWaitExpected = "must be a number of seconds, from 1 to 3600";
constexpr const char* kActionExpected = "must be reboot, poweroff or halt";

constexpr Rule kRules[] = {
    {"target", "no target", "is one target too many: 16 are read", set_target},
    {"dump_level", "31", "must be a number from 0 to 31", set_number<&Config::dump_level, 0, 31>},
    {"format", "kdump", "must be kdump, stream, elf or flattened", set_format},
    {"compress", "zstd", "must be zstd (:-50 to :22), lz4 (:-50 to :1), zlib (:1 to :12) or none",
     set_compress},
    {"threads", "one per CPU", "must be a number from 1 to 4096",
     set_number<&Config::threads, 1, 4096>},
    {"memory_limit", "from the memory available",
     "must be a number of bytes; K, M and G may follow", set_memory_limit},
    {"retry_for", "60", kSecondsExpected, set_number<&Config::retry_for_s, 0, kMaxSeconds>},
    {"stall_timeout", "120", kSecondsExpected,
     set_number<&Config::stall_timeout_s, 0, kMaxSeconds>},
    {"capture_timeout", "0, none", kSecondsExpected,
     set_number<&Config::capture_timeout_s, 0, kMaxSeconds>},
    {"connect_timeout", "10", kWaitExpected,
     set_number<&Config::connect_timeout_s, 1, kMaxWaitSeconds>},
    {"reply_timeout", "20", kWaitExpected,
     set_number<&Config::reply_timeout_s, 1, kMaxWaitSeconds>},
    {"sync_timeout", "60", kWaitExpected, set_number<&Config::sync_timeout_s, 1, kMaxWaitSeconds>},
    {"ssh_key", "none", "must be a path", set_text<&Config::ssh_key>},
    {"ssh_known_hosts", "none", "must be a path", set_text<&Config::ssh_known_hosts>},
    {"ssh_connections", "as many as help", "must be a number from 1 to 8",
     set_number<&Config::ssh_connections, 1, 8>},
    {"nfs_version", "chosen with the server", "must be 3 or 4",
     set_number<&Config::nfs_version, 3, 4>},
    {"final_action", "reboot", kActionExpected, set_action<&Config::final_action>},
    {"failure_action", "the final action", "must be reboot, poweroff, halt or shell",
     set_failure_action},
    {"hostname", "the crashed kernel's", "must be a host name", set_hostname},
    {"initrd", "standalone", "must be standalone, initramfs-tools, dracut or dracut-systemd",
     set_initrd},
    {"kernel_arguments", "none", "must be words", set_text<&Config::kernel_arguments>},
    {"kernel_arguments_without", "none", "must be names",
     set_text<&Config::kernel_arguments_without>},
};

const Rule* find_rule(std::string_view key) {
  const Rule* rule = std::ranges::find(kRules, key, &Rule::key);
  return rule == std::end(kRules) ? nullptr : rule;
}

// What cannot be seen, or ends a line before its time, becomes "\xNN".
std::string visible(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f)
      result += c;
    else
      result.append("\\x") += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return result;
}

Error usage_error(const char* what, std::string_view key, std::string_view value) {
  std::string subject = visible(key.substr(0, kMaxKeyBytes));
  if (!value.empty()) subject.append(" ").append(value.substr(0, 100));
  return Error(ErrorKind::kUsage, what).on(subject);
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

std::string_view trim(std::string_view text) {
  size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view without_comment(std::string_view line) {
  for (size_t at = line.find('#'); at != line.npos; at = line.find('#', at + 1))
    if (at == 0 || kBlanks.find(line[at - 1]) != kBlanks.npos) return line.substr(0, at);
  return line;
}

struct KeyValue {
  std::string_view key;  // empty: nothing on this line
  std::string_view value;
};

KeyValue split_line(std::string_view line) {
  line = trim(without_comment(line));
  size_t end = std::min(line.find_first_of(kBlanks), line.size());
  return {line.substr(0, end), trim(line.substr(end))};
}

}  // namespace

const char* name_of(FinalAction action) {
  switch (action) {
    case FinalAction::kReboot:
      return "reboot";
    case FinalAction::kPoweroff:
      return "poweroff";
    case FinalAction::kHalt:
      return "halt";
    case FinalAction::kShell:
      return "shell";
  }
  return "reboot";
}

std::vector<std::string_view> config_keys() {
  std::vector<std::string_view> keys;
  for (const Rule& rule : kRules) keys.push_back(rule.key);
  return keys;
}

const char* config_default(std::string_view key) {
  const Rule* rule = find_rule(key);
  return rule == nullptr ? "none, the key is ignored" : rule->fallback;
}

Status set_config(Config& config, std::string_view key, std::string_view value) {
  const Rule* rule = find_rule(key);
  // Other readers of the file would stumble over it.
  if (key.starts_with(kByteOrderMark))
    return usage_error("begins with a byte order mark", key, {}).hint("remove its three bytes");
  if (rule == nullptr) return usage_error("is not a known key", key, {});
  if (value.empty()) return usage_error("has no value", key, {});
  if (value.size() > kMaxValueBytes) return usage_error("has a value that is too long", key, {});
  if (has_control_character(value)) return usage_error("has a control character in it", key, {});
  if (key == "target" && is_among(config.targets, value))
    return usage_error("stands there already", key, value);
  if (!rule->set(config, value)) return usage_error(rule->expects, key, value);
  return {};
}

std::vector<ConfigProblem> apply_config(Config& config, std::string_view text) {
  std::vector<ConfigProblem> problems;
  for (uint64_t number = 1; !text.empty(); number++) {
    size_t end = text.find('\n');
    auto [key, value] = split_line(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (key.empty()) continue;
    Status status = set_config(config, key, value);
    if (status.ok() || problems.size() > kMaxConfigProblems) continue;
    ConfigProblem problem{status.error(), config_default(key)};
    if (problems.size() == kMaxConfigProblems)
      problem = {Error(ErrorKind::kUsage, "more problems begin here, which are not told"),
                 "various"};
    problem.error.at(Where::kLine, number);
    problems.push_back(problem);
  }
  return problems;
}

std::vector<ConfigValue> config_values(std::string_view text, std::string_view key) {
  std::vector<ConfigValue> values;
  Config scratch;
  for (uint64_t number = 1; !text.empty(); number++) {
    size_t end = text.find('\n');
    KeyValue line = split_line(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.key != key || !set_config(scratch, key, line.value).ok()) continue;
    if (key != "target") values.clear();
    values.push_back({std::string(line.value), number});
  }
  return values;
}

Result<Config> parse_config(std::string_view text) {
  Config config;
  auto problems = apply_config(config, text);
  if (!problems.empty()) return problems.front().error;
  return config;
}

Result<std::string> read_text_file(const char* path, size_t limit) {
  DW_ASSIGN(Fd file, open_small_file(path));
  std::string text(limit + 1, '\0');
  auto bytes = std::as_writable_bytes(std::span(text.data(), text.size()));
  auto size = read_up_to_at(file.get(), bytes, 0);
  if (!size.ok()) {
    Error error = size.error();
    return error.on(path);
  }
  if (*size > limit) return Error(ErrorKind::kBadInput, "is too long for a text file").on(path);
  text.resize(*size);
  return text;
}

}  // namespace dw
