// Whether a device is one of the disks of a Linux software RAID (md).
//
// A leg of a mirror whose md superblock stands at its end looks like the file system itself.
// Written alone, it differs from its mirror from then on, and md does not notice. Thread safety:
// plain functions.
#pragma once

#include "capture/base/result.h"

namespace dw {

// Looks where each version of md keeps its superblock (the kernel's include/uapi/linux/raid/md_p.h,
// super_90_load() and super_1_load() of drivers/md/md.c). `device` is open for reading. What cannot
// be read is no superblock: a bad last sector shall not cost the dump.
[[nodiscard]] bool is_raid_member(int device);

// What to tell of it.
[[nodiscard]] Error raid_member_error(std::string_view path);

}  // namespace dw
