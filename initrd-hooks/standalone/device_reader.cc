#include "initrd-hooks/standalone/device_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <strings.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "capture/cli/config.h"
#include "capture/target/raw/raid_member.h"
#include "initrd-hooks/standalone/partition_uuid.h"

namespace dw {

namespace {

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

}  // namespace

Result<Fd> DeviceReader::open(const std::string& path) const { return places_.open(path.c_str()); }

std::vector<DiskDevices> DeviceReader::disks() const {
  std::vector<DiskDevices> disks;
  for (const std::string& name : block_devices(places_.sysfs_block)) {
    if (!worth_reading(name)) continue;
    std::string disk = disk_of_partition(places_.sysfs_block + "/" + name);
    if (disk.empty()) disk = name;
    auto found = std::ranges::find(disks, disk, &DiskDevices::disk);
    if (found == disks.end()) found = disks.insert(disks.end(), {disk, {}});
    found->names.push_back(name);
  }
  return disks;
}

// Those whose opening would wait for a medium, and those that cannot hold anything yet.
bool DeviceReader::worth_reading(const std::string& name) const {
  if (name.starts_with("sr") || name.starts_with("fd") || name.starts_with("ram")) return false;
  return sysfs_number(places_.sysfs_block + "/" + name + "/size") > 0;
}

Result<FoundDevice> DeviceReader::read_path() const {
  DW_ASSIGN(std::optional<FileSystem> file_system, read_file_system(target_.name, places_.open));
  if (!file_system)
    return Error(ErrorKind::kUnsupported, "holds neither an ext2/3/4 nor an xfs file system")
        .on(target_.name);
  DW_TRY(refuse_raid_member(target_.name, name_of(target_.name)));
  return FoundDevice{target_.name, std::move(*file_system)};
}

Result<std::optional<FoundDevice>> DeviceReader::read(const std::string& name) const {
  std::string path = path_of(name);
  if (!mounted_) {
    DW_ASSIGN(bool is_it, has_partition_uuid(name));
    if (!is_it) return std::optional<FoundDevice>();
    return std::optional(FoundDevice{std::move(path), {}});
  }
  DW_ASSIGN(std::optional<FileSystem> file_system, read_file_system(path, places_.open));
  if (!file_system) return std::optional<FoundDevice>();
  DW_ASSIGN(bool is_it, matches(name, *file_system));
  if (!is_it) return std::optional<FoundDevice>();
  DW_TRY(refuse_raid_member(path, name));
  return std::optional(FoundDevice{std::move(path), std::move(*file_system)});
}

Result<std::optional<FoundDevice>> DeviceReader::find_among(
    const std::vector<std::string>& names) const {
  std::optional<Error> trouble;
  for (const std::string& name : names) {
    auto found = read(name);
    if (found.ok() && *found) return found;
    if (!found.ok() && (!trouble || found.error().kind() == ErrorKind::kUnsupported))
      trouble = found.error();
  }
  if (trouble) return *trouble;
  return std::optional<FoundDevice>();
}

Result<bool> DeviceReader::matches(const std::string& name, const FileSystem& found) const {
  switch (target_.by) {
    case DeviceTarget::By::kUuid:
      return ::strcasecmp(target_.name.c_str(), found.uuid.c_str()) == 0;
    case DeviceTarget::By::kLabel:
      return target_.name == found.label;
    case DeviceTarget::By::kPartUuid:
      return has_partition_uuid(name);
    case DeviceTarget::By::kPath:
      break;
  }
  return false;
}

// What cannot be read for a moment is not taken for another partition.
Result<bool> DeviceReader::has_partition_uuid(const std::string& name) const {
  std::string folder = places_.sysfs_block + "/" + name;
  uint64_t number = sysfs_number(folder + "/partition");
  std::string disk_name = disk_of_partition(folder);
  if (number == 0 || number > UINT32_MAX || disk_name.empty()) return false;
  DW_ASSIGN(Fd disk, open(path_of(disk_name)));
  uint64_t block_size = sysfs_number(folder + "/../queue/logical_block_size");
  DW_ASSIGN(auto uuid, partition_uuid(disk.get(), block_size, static_cast<uint32_t>(number)));
  return uuid && ::strcasecmp(uuid->c_str(), target_.name.c_str()) == 0;
}

Status DeviceReader::refuse_raid_member(const std::string& path, const std::string& name) const {
  DW_ASSIGN(Fd device, open(path));
  if (is_raid_member(device.get())) return raid_member_error(path);
  std::string disk_name = disk_of_partition(places_.sysfs_block + "/" + name);
  if (disk_name.empty()) return {};
  std::string disk_path = path_of(disk_name);
  auto disk = open(disk_path);
  if (disk.ok() && holds_raid_end(disk->get())) return raid_member_error(disk_path);
  return {};
}

void DeviceReader::describe(const std::string& name, const Log& log) const {
  auto found = read_file_system(path_of(name), places_.open);
  if (!found.ok()) return log.warn(found.error());
  if (!*found) return log.say("  %s: no ext2/3/4 or xfs file system", name.c_str());
  log.say("  %s: %s UUID=%s LABEL=%s", name.c_str(),
          (*found)->kind == FileSystem::Kind::kXfs ? "xfs" : "ext2/3/4", (*found)->uuid.c_str(),
          (*found)->label.c_str());
}

// As sysfs calls what stands at the path, which may be a link of udev.
std::string DeviceReader::name_of(const std::string& path) const {
  char real_path[PATH_MAX];
  if (::realpath(path.c_str(), real_path) == nullptr) return {};
  std::string name(real_path);
  if (!name.starts_with(places_.dev + "/")) return {};
  name.erase(0, places_.dev.size() + 1);
  std::ranges::replace(name, '/', '!');
  return name;
}

// sysfs writes '!' for a slash in a device's name.
std::string DeviceReader::path_of(std::string name) const {
  std::ranges::replace(name, '!', '/');
  return places_.dev + "/" + name;
}

}  // namespace dw
