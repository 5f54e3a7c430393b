#include "initrd-hooks/standalone/device.h"

#include <dirent.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "capture/base/fd.h"
#include "capture/cli/config.h"
#include "capture/target/raw/raid_member.h"
#include "initrd-hooks/standalone/partition_uuid.h"

namespace dw {

namespace {

constexpr std::string_view kScheme = "dev:";
constexpr size_t kMaxListed = 64;

Error bad_target(const char* what, std::string_view target) {
  return Error(ErrorKind::kUsage, what)
      .on(target)
      .hint("use dev:/dev/X:/DIR, dev:UUID=U:/DIR, dev:LABEL=L:/DIR or dev:PARTUUID=P:/DIR");
}

bool has_parent_component(std::string_view directory) {
  return directory == "/.." || directory.ends_with("/..") ||
         directory.find("/../") != directory.npos;
}

DeviceTarget named_device(std::string_view name) {
  constexpr struct {
    std::string_view prefix;
    DeviceTarget::By by;
  } kPrefixes[] = {{"UUID=", DeviceTarget::By::kUuid},
                   {"LABEL=", DeviceTarget::By::kLabel},
                   {"PARTUUID=", DeviceTarget::By::kPartUuid},
                   {"/dev/disk/by-partuuid/", DeviceTarget::By::kPartUuid},
                   {"/dev/disk/by-uuid/", DeviceTarget::By::kUuid},
                   {"/dev/disk/by-label/", DeviceTarget::By::kLabel}};
  for (const auto& [prefix, by] : kPrefixes)
    if (name.starts_with(prefix)) return {by, std::string(name.substr(prefix.size())), {}};
  return {DeviceTarget::By::kPath, std::string(name), {}};
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string encoded_label(std::string_view label) {
  constexpr std::string_view kPlain = "#+-.:=@_";
  std::string text;
  for (char c : label) {
    char hex[5];
    std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
    bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                 static_cast<unsigned char>(c) >= 0x80 || kPlain.find(c) != kPlain.npos;
    text += plain ? std::string(1, c) : hex;
  }
  return text;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// The names of all block devices, sorted.
std::vector<std::string> block_devices(const std::string& sysfs_block) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, CloseDirectory> directory(::opendir(sysfs_block.c_str()));
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    if (names.size() >= kMaxBlockDevices) break;
    names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

// A number in a file of sysfs; 0 if there is none.
uint64_t sysfs_number(const std::string& path) {
  auto text = read_text_file(path.c_str(), 64);
  return text.ok() ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

// Those whose opening would wait for a medium, and those that cannot hold anything yet.
bool worth_reading(const DevicePlaces& places, const std::string& name) {
  if (name.starts_with("sr") || name.starts_with("fd") || name.starts_with("ram")) return false;
  return sysfs_number(places.sysfs_block + "/" + name + "/size") > 0;
}

Status refuse_raid_member(const std::string& path) {
  DW_ASSIGN(Fd device, open_file(path.c_str(), O_RDONLY | O_NONBLOCK));
  if (is_raid_member(device.get())) return raid_member_error(path);
  return {};
}

bool matches(const DeviceTarget& target, const FileSystem& found) {
  if (target.by == DeviceTarget::By::kUuid)
    return ::strcasecmp(target.name.c_str(), found.uuid.c_str()) == 0;
  return target.by == DeviceTarget::By::kLabel && target.name == found.label;
}

// Looks again and again, but reads each device once only: some are slow to answer.
class Finder {
 public:
  Finder(const DeviceTarget& target, const DevicePlaces& places)
      : target_(target), places_(places) {}

  // Whether it is there; found() is then the device.
  Result<bool> look() {
    if (target_.by == DeviceTarget::By::kPath) return look_at_path();
    return look_at_all();
  }
  FoundDevice& found() { return found_; }
  // Why a device given by its path could not be read the last time.
  [[nodiscard]] const std::optional<Error>& trouble() const { return trouble_; }

  void list(const Log& log) const {
    std::vector<std::string> names = block_devices(places_.sysfs_block);
    log.say("%zu block devices are there", names.size());
    for (size_t i = 0; i < std::min(names.size(), kMaxListed); i++) describe(names[i], log);
  }

 private:
  Result<bool> look_at_path() {
    auto file_system = read_file_system(target_.name);
    // Not there yet, or not ready yet; which of them is told if it stays so.
    if (!file_system.ok()) {
      trouble_ = file_system.error();
      return false;
    }
    if (!*file_system)
      return Error(ErrorKind::kUnsupported, "holds neither an ext2/3/4 nor an xfs file system")
          .on(target_.name);
    DW_TRY(refuse_raid_member(target_.name));
    found_ = {target_.name, std::move(**file_system)};
    return true;
  }

  Result<bool> look_at_all() {
    std::optional<Error> refused;
    for (const std::string& name : block_devices(places_.sysfs_block)) {
      if (std::ranges::binary_search(seen_, name) || !worth_reading(places_, name)) continue;
      std::string path = path_of(name);
      auto file_system = read_file_system(path);
      if (!file_system.ok()) continue;
      if (*file_system && (matches(target_, **file_system) || has_partition_uuid(name))) {
        Status good = refuse_raid_member(path);
        if (!good.ok()) {
          // The RAID itself may be there too, if the kernel put it together.
          refused = good.error();
          continue;
        }
        found_ = {std::move(path), std::move(**file_system)};
        return true;
      }
      seen_.insert(std::ranges::upper_bound(seen_, name), name);
    }
    if (refused) return *refused;
    return false;
  }

  // A partition's folder in sysfs lies in that of its disk.
  [[nodiscard]] bool has_partition_uuid(const std::string& name) const {
    if (target_.by != DeviceTarget::By::kPartUuid) return false;
    std::string folder = places_.sysfs_block + "/" + name;
    uint64_t number = sysfs_number(folder + "/partition");
    char real_path[PATH_MAX];
    if (number == 0 || ::realpath((folder + "/..").c_str(), real_path) == nullptr) return false;
    std::string disk_folder(real_path);
    auto disk = open_file(path_of(disk_folder.substr(disk_folder.rfind('/') + 1)).c_str(),
                          O_RDONLY | O_NONBLOCK);
    if (!disk.ok()) return false;
    auto uuid = partition_uuid(disk->get(), sysfs_number(disk_folder + "/queue/logical_block_size"),
                               static_cast<uint32_t>(number));
    return uuid.ok() && *uuid && ::strcasecmp((*uuid)->c_str(), target_.name.c_str()) == 0;
  }

  void describe(const std::string& name, const Log& log) const {
    if (!worth_reading(places_, name)) return log.say("  %s: not read", name.c_str());
    auto found = read_file_system(path_of(name));
    if (!found.ok()) return log.warn(found.error());
    if (!*found) return log.say("  %s: no ext2/3/4 or xfs file system", name.c_str());
    log.say("  %s: %s UUID=%s LABEL=%s", name.c_str(),
            (*found)->kind == FileSystem::Kind::kXfs ? "xfs" : "ext2/3/4", (*found)->uuid.c_str(),
            (*found)->label.c_str());
  }

  // sysfs writes '!' for a slash in a device's name.
  [[nodiscard]] std::string path_of(std::string name) const {
    std::ranges::replace(name, '!', '/');
    return places_.dev + "/" + name;
  }

  const DeviceTarget& target_;
  const DevicePlaces& places_;
  std::vector<std::string> seen_;
  FoundDevice found_;
  std::optional<Error> trouble_;
};

Error did_not_appear(const std::string& device) {
  return Error(ErrorKind::kTimeout, "did not appear")
      .on(device)
      .hint("is the driver of its controller among the modules of the initrd?");
}

void sleep_ms(int64_t ms) {
  timespec time{.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
  ::nanosleep(&time, nullptr);
}

}  // namespace

bool is_device_target(std::string_view target) { return target.starts_with(kScheme); }

Result<DeviceTarget> parse_device_target(std::string_view target) {
  if (!is_device_target(target)) return bad_target("is not a device target", target);
  std::string_view rest = target.substr(kScheme.size());
  size_t colon = rest.find(":/");
  if (colon == rest.npos) return bad_target("names no directory", target);
  DeviceTarget result = named_device(rest.substr(0, colon));
  result.directory = rest.substr(colon + 1);
  if (result.name.empty()) return bad_target("names no device", target);
  if (result.by == DeviceTarget::By::kPath && !result.name.starts_with("/dev/"))
    return bad_target("names neither a path in /dev nor a UUID, LABEL or PARTUUID", target);
  if (has_parent_component(result.directory) || has_parent_component(result.name))
    return bad_target("has '..' in it", target);
  return result;
}

std::string udev_path(const DeviceTarget& target) {
  switch (target.by) {
    case DeviceTarget::By::kPath:
      return target.name;
    case DeviceTarget::By::kUuid:
      return "/dev/disk/by-uuid/" + lower_case(target.name);
    case DeviceTarget::By::kLabel:
      return "/dev/disk/by-label/" + encoded_label(target.name);
    case DeviceTarget::By::kPartUuid:
      return "/dev/disk/by-partuuid/" + lower_case(target.name);
  }
  return target.name;
}

Result<std::optional<FileSystem>> read_file_system(const std::string& path) {
  DW_ASSIGN(Fd device, open_file(path.c_str(), O_RDONLY | O_NONBLOCK));
  std::vector<std::byte> head(kProbeBytes);
  DW_ASSIGN(size_t size, read_up_to_at(device.get(), head, 0));
  return probe_superblock(Bytes(head).first(size));
}

Result<FoundDevice> wait_for_device(const DeviceTarget& target, const DevicePlaces& places,
                                    int64_t limit_ms, const Log& log) {
  Finder finder(target, places);
  for (int64_t waited_ms = 0;; waited_ms += kDevicePollMs) {
    DW_ASSIGN(bool found, finder.look());
    if (found) return std::move(finder.found());
    if (waited_ms >= limit_ms) break;
    if (waited_ms == 0) log.say("waiting for the device %s", target.name.c_str());
    sleep_ms(kDevicePollMs);
  }
  finder.list(log);
  if (finder.trouble()) log.warn(*finder.trouble());
  return did_not_appear(target.name);
}

Status wait_for_block_device(const std::string& path, int64_t limit_ms, const Log& log) {
  for (int64_t waited_ms = 0;; waited_ms += kDevicePollMs) {
    struct stat about {};
    if (::stat(path.c_str(), &about) == 0 && S_ISBLK(about.st_mode)) return {};
    if (waited_ms >= limit_ms) return did_not_appear(path);
    if (waited_ms == 0) log.say("waiting for the device %s", path.c_str());
    sleep_ms(kDevicePollMs);
  }
}

}  // namespace dw
