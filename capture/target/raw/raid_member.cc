#include "capture/target/raw/raid_member.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "capture/base/fd.h"

namespace dw {

namespace {

constexpr uint32_t kMdMagic = 0xa92b4efc;
constexpr uint64_t kReserved090 = 64 * 1024;
constexpr size_t kBytesRead = 136;  // up to super_offset of version 1
constexpr size_t kSuperOffset = 128;

bool holds_superblock(int device, uint64_t offset, uint32_t major_version) {
  std::byte raw[kBytesRead];
  if (!read_exact_at(device, raw, offset).ok()) return false;
  Bytes super(raw);
  if (load<uint32_t>(super, 0) != kMdMagic || load<uint32_t>(super, 4) != major_version)
    return false;
  // Version 1 says where it stands, in sectors: what was copied from elsewhere is not believed.
  return major_version == 0 || load<uint64_t>(super, kSuperOffset) == offset / 512;
}

bool holds_intel(Bytes sector) {
  constexpr std::string_view kSignature = "Intel Raid ISM Cfg Sig. ";
  constexpr size_t kVolumes = 0x39;  // none: what is left of a RAID that is gone
  return std::memcmp(sector.data(), kSignature.data(), kSignature.size()) == 0 &&
         load<uint8_t>(sector, kVolumes) > 0;
}

// Big-endian, as the standard has it, or as some firmware writes it.
bool holds_ddf(Bytes sector) {
  uint32_t signature = load<uint32_t>(sector, 0);
  return signature == 0xDE11DE11 || signature == 0x11DE11DE;
}

bool sector_is(int device, uint64_t size, uint64_t from_end, bool (*is)(Bytes)) {
  std::byte raw[512];
  return size >= from_end && read_exact_at(device, raw, size - from_end).ok() && is(Bytes(raw));
}

bool holds_firmware_raid(int device, uint64_t size) {
  for (uint64_t sector : {uint64_t{512}, uint64_t{4096}})
    if (sector_is(device, size, 2 * sector, holds_intel) ||
        sector_is(device, size, sector, holds_ddf))
      return true;
  return false;
}

}  // namespace

bool is_raid_member(int device) {
  auto size = file_size(device);
  if (!size.ok()) return false;
  uint64_t whole = *size & ~(kReserved090 - 1);
  if (whole >= kReserved090 && holds_superblock(device, whole - kReserved090, 0)) return true;
  // 1.1 and 1.2.
  return holds_superblock(device, 0, 1) || holds_superblock(device, 4096, 1) ||
         holds_raid_end(device);
}

bool holds_raid_end(int disk) {
  auto size = file_size(disk);
  if (!size.ok()) return false;
  constexpr uint64_t kReserved10 = 8 * 1024;
  if (*size >= kReserved10 && holds_superblock(disk, (*size - kReserved10) & ~uint64_t{4095}, 1))
    return true;
  return holds_firmware_raid(disk, *size);
}

std::string disk_of_partition(const std::string& folder) {
  char path[PATH_MAX];
  if (::access((folder + "/partition").c_str(), F_OK) != 0) return {};
  // A partition's folder lies in that of its disk.
  if (::realpath((folder + "/..").c_str(), path) == nullptr) return {};
  std::string disk(path);
  return disk.substr(disk.rfind('/') + 1);
}

bool lies_on_raid_member(int partition) {
  struct stat about {};
  if (::fstat(partition, &about) != 0 || !S_ISBLK(about.st_mode)) return false;
  std::string name = disk_of_partition("/sys/dev/block/" + std::to_string(major(about.st_rdev)) +
                                       ":" + std::to_string(minor(about.st_rdev)));
  if (name.empty()) return false;
  // sysfs writes '!' for a slash in a device's name.
  std::ranges::replace(name, '!', '/');
  auto disk = open_file(("/dev/" + name).c_str(), O_RDONLY | O_NONBLOCK);
  return disk.ok() && holds_raid_end(disk->get());
}

bool belongs_to_raid(int device) { return is_raid_member(device) || lies_on_raid_member(device); }

Error raid_member_error(std::string_view path) {
  return Error(ErrorKind::kUnsupported, "is a member of a RAID and not written to alone")
      .on(path)
      .hint("use a target outside the RAID, or, if the RAID is gone, mdadm --zero-superblock");
}

}  // namespace dw
