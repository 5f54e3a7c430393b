#include "initrd-hooks/standalone/device_mount.h"

#include "capture/target/address.h"
#include "initrd-hooks/standalone/device.h"
#include "initrd-hooks/standalone/mounted_target.h"

namespace dw {

Result<std::string> mount_device_target(const std::string& target, const std::string& mount_point,
                                        const Log& log) {
  DW_ASSIGN(DeviceTarget device_target, parse_device_target(target));
  DW_ASSIGN(FoundDevice device,
            wait_for_device(device_target, DevicePlaces(), kDeviceWaitLimitMs, log));
  DW_ASSIGN(MountedTarget mounted, MountedTarget::mount(device, mount_point));
  return mounted.resolve(device_target.directory);
}

Result<std::string> find_raw_target(const std::string& target, const Log& log) {
  DW_ASSIGN(TargetAddress address, parse_target_address(target));
  if (address.partition_uuid.empty()) {
    DW_TRY(wait_for_block_device(address.path, kDeviceWaitLimitMs, log));
    return std::string();
  }
  DW_ASSIGN(std::string path,
            wait_for_partition(address.partition_uuid, DevicePlaces(), kDeviceWaitLimitMs, log));
  size_t options = target.find('?');
  return "raw:" + path + (options == target.npos ? "" : target.substr(options));
}

Status release_mount(const std::string& mount_point) {
  DW_ASSIGN(MountedTarget mounted, MountedTarget::at(mount_point));
  Status synced = mounted.sync();
  DW_TRY(mounted.unmount());
  return synced;
}

}  // namespace dw
