// Device targets: `dev:/dev/X:/DIR`, and UUID=U, LABEL=L or PARTUUID=P in place of the path;
// finding their device.
//
// There is no udev in the initrd: block devices are found in sysfs, and file systems by reading
// their superblocks.
// Thread safety: called from one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/fd.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/superblock.h"

namespace dw {

struct DeviceTarget {
  enum class By : uint8_t { kPath, kUuid, kLabel, kPartUuid };
  By by;
  std::string name;       // a path, a UUID, a label or a partition's UUID
  std::string directory;  // absolute, below the root of the file system
};

[[nodiscard]] bool is_device_target(std::string_view target);

// kUsage: not of that shape, or a directory with ".." in it. /dev/disk/by-uuid/U, by-label/L
// and by-partuuid/P, which only udev makes, are taken for UUID=U, LABEL=L and PARTUUID=P.
Result<DeviceTarget> parse_device_target(std::string_view target);

// The path by which udev calls it on a running system. Labels are encoded as udev does (systemd's
// src/basic/device-nodes.c).
[[nodiscard]] std::string udev_path(const DeviceTarget& target);

// As place_of() of the target's address, with the device called as udev calls it; what is no target
// as it is written.
[[nodiscard]] std::string place_in_initrd(std::string_view target);

struct FoundDevice {
  std::string path;
  FileSystem file_system;
};

// For reading, without waiting for a medium.
Result<Fd> open_device(const char* path);

// What the device at `path` holds, if it is one that we mount.
Result<std::optional<FileSystem>> read_file_system(const std::string& path,
                                                   Result<Fd> (*open)(const char*) = open_device);

// Where to look; a test has folders of its own, and devices that hang.
struct DevicePlaces {
  std::string sysfs_block = "/sys/class/block";
  std::string dev = "/dev";
  Result<Fd> (*open)(const char* path) = open_device;
  // How long disks that are new are waited for, before what another one holds is taken.
  int64_t patience_ms = 5000;
};

inline constexpr size_t kMaxBlockDevices = 4096;
inline constexpr int64_t kDeviceWaitLimitMs = 60 * 1000;
inline constexpr int64_t kDevicePollMs = 100;

// Waits until the device is there and holds a file system that we mount. kTimeout: it did not
// appear, and what did is listed in `log`; kUnsupported: the path is there, with something else on
// it, or all that there is of the file system is a member of a RAID. A disk that hangs is left
// alone, unless the target names it by its path.
Result<FoundDevice> wait_for_device(const DeviceTarget& target, const DevicePlaces& places,
                                    int64_t limit_ms, const Log& log);

// The path of the partition with this PARTUUID, whatever is on it. Errors as wait_for_device().
Result<std::string> wait_for_partition(const std::string& uuid, const DevicePlaces& places,
                                       int64_t limit_ms, const Log& log);

// Waits until `path` is a block device, whatever is on it. kTimeout: it did not appear.
Status wait_for_block_device(const std::string& path, int64_t limit_ms, const Log& log);

}  // namespace dw
