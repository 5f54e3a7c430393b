#include "initrd-hooks/standalone/device_mount.h"

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

Status release_mount(const std::string& mount_point) {
  DW_ASSIGN(MountedTarget mounted, MountedTarget::at(mount_point));
  Status synced = mounted.sync();
  DW_TRY(mounted.unmount());
  return synced;
}

}  // namespace dw
