// What stands on the block devices: read from their first bytes, their ends, and their disk's
// partition table. Everything there is untrusted.
//
// Reading may hang for ever on a broken disk, so each disk is read in a process of its own.
// Thread safety: one thread; the places and the target must outlive it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/base/fd.h"
#include "initrd-hooks/standalone/device.h"
#include "initrd-hooks/standalone/log.h"

namespace dw {

// A disk and its partitions, as sysfs calls them, sorted; or a disk alone.
struct DiskDevices {
  std::string disk;
  std::vector<std::string> names;
};

class DeviceReader {
 public:
  // `mounted`: the device has to hold a file system that we mount, outside of a RAID.
  DeviceReader(const DeviceTarget& target, const DevicePlaces& places, bool mounted)
      : target_(target), places_(places), mounted_(mounted) {}

  // All that are worth reading, sorted.
  [[nodiscard]] std::vector<DiskDevices> disks() const;

  // What the target names by its path, now. kUnsupported: it can never be used; else it is not
  // there or not ready.
  Result<FoundDevice> read_path() const;

  // Which of these devices the target names; nothing if it is none of them. kUnsupported: the one
  // that it is can never be used. Another error: not all could be read, and it is none of the rest.
  Result<std::optional<FoundDevice>> find_among(const std::vector<std::string>& names) const;

  // Says what a device holds.
  void describe(const std::string& name, const Log& log) const;

 private:
  Result<std::optional<FoundDevice>> read(const std::string& name) const;
  [[nodiscard]] bool worth_reading(const std::string& name) const;
  [[nodiscard]] Result<bool> matches(const std::string& name, const FileSystem& found) const;
  [[nodiscard]] Result<bool> has_partition_uuid(const std::string& name) const;
  [[nodiscard]] Status refuse_raid_member(const std::string& path, const std::string& name) const;
  [[nodiscard]] std::string name_of(const std::string& path) const;
  [[nodiscard]] std::string path_of(std::string name) const;
  [[nodiscard]] Result<Fd> open(const std::string& path) const;

  const DeviceTarget& target_;
  const DevicePlaces& places_;
  bool mounted_;
};

}  // namespace dw
