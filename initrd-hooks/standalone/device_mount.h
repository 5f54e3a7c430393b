// A device target is mounted, and unmounted; a partition is found. All may hang for ever on a
// broken disk.
//
// Thread safety: one thread; each call may be in a process of its own, since a mount outlives it.
#pragma once

#include <string>

#include "capture/base/result.h"
#include "initrd-hooks/standalone/log.h"

namespace dw {

// Waits for the device of `target` (dev:...) and mounts it at `mount_point`. Returns the folder
// that the target names, as a path of the initrd; the last parts of it may be missing still.
Result<std::string> mount_device_target(const std::string& target, const std::string& mount_point,
                                        const Log& log);

// Waits for the partition of `target` (raw:...), whatever is on it. Returns the target by its path
// if it is called by its PARTUUID: there is no udev to make a link; else nothing.
Result<std::string> find_raw_target(const std::string& target, const Log& log);

// Syncs and unmounts it. The capture has synced what it wrote; a failure changes nothing.
Status release_mount(const std::string& mount_point);

}  // namespace dw
