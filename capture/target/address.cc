#include "capture/target/address.h"

#include <algorithm>

#include "capture/base/numbers.h"

namespace dw {

namespace {

constexpr uint16_t kSshPort = 22;
constexpr uint16_t kNfsPort = 2049;
constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxUserBytes = 255;
constexpr const char* kSshHint = "write ssh://USER@HOST[:PORT]/DIR";
constexpr const char* kNfsHint = "write nfs://HOST[:PORT]/EXPORT/DIR[?version=3|4]";
constexpr const char* kRawHint = "write raw:PARTUUID=UUID or raw:/dev/NAME";
constexpr std::string_view kByPartitionUuid = "/dev/disk/by-partuuid/";

Error wrong(const char* what, const char* hint) {
  return Error(ErrorKind::kUsage, what).hint(hint);
}

char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool is_address6_character(char c) { return is_name_character(c) || c == ':' || c == '%'; }

// Takes what stands in front of the first of `ends` off `rest`; all of it if there is none.
std::string_view take_until(std::string_view& rest, std::string_view ends) {
  std::string_view taken = rest.substr(0, rest.find_first_of(ends));
  rest.remove_prefix(taken.size());
  return taken;
}

bool take(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

template <typename Number>
Status take_number(std::optional<Number>& into, std::string_view text, uint64_t low, uint64_t high,
                   const char* what, const char* hint) {
  std::optional<uint64_t> number = parse_number(text, low, high);
  if (!number) return wrong(what, hint);
  into = static_cast<Number>(*number);
  return {};
}

Status take_host(std::string_view& rest, TargetAddress& address, const char* hint) {
  bool bracket = take(rest, "[");
  std::string_view host = take_until(rest, bracket ? "]/" : ":/");
  bool closed = !bracket || take(rest, "]");
  bool named = !host.empty() && host.size() <= kMaxHostBytes && host[0] != '-' &&
               std::ranges::all_of(host, bracket ? is_address6_character : is_name_character);
  if (!closed || !named) return wrong("no host's name or address", hint);
  address.host = host;
  if (!take(rest, ":")) return {};
  return take_number(address.port, take_until(rest, "/"), 1, 65535, "a port is from 1 to 65535",
                     hint);
}

bool leads_up(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    if (take_until(path, "/") == "..") return true;
  }
  return false;
}

Status take_directory(std::string_view directory, TargetAddress& address, const char* hint) {
  if (!directory.starts_with('/')) return wrong("no directory", hint);
  if (leads_up(directory)) return wrong("a directory with .. in it", hint);
  if (directory.find('\0') != directory.npos) return wrong("a directory with a zero byte", hint);
  address.path = directory;
  return {};
}

Status set_nfs_option(TargetAddress& address, std::string_view key, std::string_view value) {
  constexpr uint64_t kMaxId = UINT32_MAX - 1;
  if (key == "version")
    return take_number(address.nfs_version, value, 3, 4, "version is 3 or 4", kNfsHint);
  if (key == "port")
    return take_number(address.port, value, 1, 65535, "a port is from 1 to 65535", kNfsHint);
  if (key == "mountport")
    return take_number(address.mount_port, value, 1, 65535, "a port is from 1 to 65535", kNfsHint);
  if (key == "uid") return take_number(address.uid, value, 0, kMaxId, "uid is a number", kNfsHint);
  if (key == "gid") return take_number(address.gid, value, 0, kMaxId, "gid is a number", kNfsHint);
  return wrong("an unknown option", "version, port, mountport, uid and gid are known");
}

Status set_raw_option(TargetAddress& address, std::string_view key, std::string_view value) {
  bool* flag = key == "force" ? &address.force : key == "overwrite" ? &address.overwrite : nullptr;
  if (flag == nullptr) return wrong("an unknown option", "force=yes and overwrite=yes are known");
  if (value != "yes" && value != "no")
    return wrong("an option's value", "write force=yes or overwrite=yes");
  *flag = value == "yes";
  return {};
}

using SetOption = Status (*)(TargetAddress&, std::string_view key, std::string_view value);

// KEY=VALUE&KEY=VALUE
Status take_options(std::string_view rest, TargetAddress& address, SetOption set) {
  while (!rest.empty()) {
    std::string_view option = take_until(rest, "&");
    take(rest, "&");
    std::string_view key = take_until(option, "=");
    take(option, "=");
    DW_TRY(set(address, key, option));
  }
  return {};
}

Status parse_ssh(std::string_view rest, TargetAddress& address) {
  size_t at = rest.substr(0, rest.find('/')).rfind('@');
  if (at == rest.npos || at == 0 || at > kMaxUserBytes) return wrong("no user", kSshHint);
  address.user = rest.substr(0, at);
  if (address.user.find_first_of(":\n") != std::string::npos)
    return wrong("a password cannot be given: a key file is used", kSshHint);
  rest.remove_prefix(at + 1);
  DW_TRY(take_host(rest, address, kSshHint));
  return take_directory(rest, address, kSshHint);
}

Status parse_nfs(std::string_view rest, TargetAddress& address) {
  DW_TRY(take_host(rest, address, kNfsHint));
  std::string_view directory = take_until(rest, "?");
  DW_TRY(take_directory(directory, address, kNfsHint));
  take(rest, "?");
  return take_options(rest, address, set_nfs_option);
}

// udev's link is the path where there is udev.
Status take_partition_uuid(std::string_view uuid, TargetAddress& address) {
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF-";
  if (uuid.empty() || uuid.size() > 36 || uuid.find_first_not_of(kDigits) != uuid.npos)
    return wrong("no PARTUUID", "lsblk -o NAME,PARTUUID tells it");
  address.partition_uuid = uuid;
  for (char& c : address.partition_uuid) c = lower_case(c);
  address.path = std::string(kByPartitionUuid) + address.partition_uuid;
  return {};
}

Status take_raw_device(std::string_view device, TargetAddress& address) {
  if (take(device, "PARTUUID=") || take(device, kByPartitionUuid))
    return take_partition_uuid(device, address);
  return take_directory(device, address, kRawHint);
}

Status parse_raw(std::string_view rest, TargetAddress& address) {
  DW_TRY(take_raw_device(take_until(rest, "?"), address));
  take(rest, "?");
  return take_options(rest, address, set_raw_option);
}

Result<TargetAddress> parse(std::string_view target) {
  TargetAddress address;
  auto parsed = [&](TargetKind kind, Status status) -> Result<TargetAddress> {
    if (!status.ok()) return status.error();
    address.kind = kind;
    return address;
  };
  std::string_view rest = target;
  if (target == "-") return parsed(TargetKind::kStdout, {});
  if (take(rest, "ssh://")) return parsed(TargetKind::kSsh, parse_ssh(rest, address));
  if (take(rest, "nfs://")) return parsed(TargetKind::kNfs, parse_nfs(rest, address));
  if (take(rest, "raw:")) return parsed(TargetKind::kRaw, parse_raw(rest, address));
  bool file = take(rest, "file:");
  address.path = rest;
  if (!file && take(rest, "dev:")) {
    address.path = rest;
    return parsed(TargetKind::kDevice, {});
  }
  if (address.path.empty()) return wrong("a target without a directory", "name a directory");
  // What only looks like a path: host:/export.
  size_t colon = rest.find(':');
  if (!file && colon != rest.npos && colon < rest.find('/'))
    return wrong("this kind of target is not known",
                 "name a directory (one with a colon in its name as ./NAME), raw:/dev/X, nfs:// or "
                 "ssh://");
  return parsed(TargetKind::kDirectory, {});
}

std::string plain_path(std::string_view path) {
  std::string plain(path.starts_with('/') ? "/" : "");
  while (!path.empty()) {
    std::string_view name = take_until(path, "/");
    take(path, "/");
    if (name.empty() || name == ".") continue;
    if (!plain.empty() && !plain.ends_with('/')) plain += '/';
    plain += name;
  }
  return plain;
}

std::string place_of_text(std::string_view target) {
  auto address = parse_target_address(target);
  return address.ok() ? place_of(*address) : std::string(target);
}

}  // namespace

std::string place_of(const TargetAddress& address) {
  std::string place = std::to_string(static_cast<int>(address.kind)) + ":";
  std::string_view path = address.path;
  if (address.kind == TargetKind::kDevice) {
    std::string_view device = path.substr(0, path.find(":/"));
    path.remove_prefix(device.size());
    place += plain_path(device);
    take(path, ":");
  } else if (is_on_network(address.kind)) {
    uint16_t usual = address.kind == TargetKind::kSsh ? kSshPort : kNfsPort;
    place += address.user + "@";
    for (char c : address.host) place += lower_case(c);
    place += ":" + std::to_string(address.port.value_or(usual));
  }
  return place + ":" + plain_path(path);
}

Result<TargetAddress> parse_target_address(std::string_view target) {
  Result<TargetAddress> address = parse(target);
  if (address.ok()) return address;
  Error error = address.error();
  return error.on(target);
}

bool is_among(std::span<const std::string> others, std::string_view target) {
  std::string place = place_of_text(target);
  return std::ranges::any_of(
      others, [&](const std::string& other) { return place_of_text(other) == place; });
}

}  // namespace dw
