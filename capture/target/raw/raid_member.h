// Whether a device is one of the disks of a RAID: of Linux (md), or of firmware (Intel's, DDF).
//
// A leg of a mirror whose md superblock stands at its end looks like the file system itself.
// Written alone, it differs from its mirror from then on, and md does not notice. Thread safety:
// plain functions.
#pragma once

#include <string>

#include "capture/base/result.h"

namespace dw {

// Looks where each version of md keeps its superblock (the kernel's include/uapi/linux/raid/md_p.h,
// super_90_load() and super_1_load() of drivers/md/md.c), and for what holds_raid_end() knows.
// `device` is open for reading. What cannot be read is no superblock: a bad last sector shall not
// cost the dump.
[[nodiscard]] bool is_raid_member(int device);

// The same for a disk that has partitions, told by its end alone: what stands at its beginning is
// left over from earlier, as the partition table would be the RAID's. Version 1.0 of md (0.90 may
// be its last partition's, as it does not say where it stands); Intel's, in the second-last sector,
// if it has volumes (mdadm's super-intel.c, struct imsm_super; util-linux's
// libblkid/src/superblocks/isw_raid.c); DDF, whose anchor is the last sector (SNIA, Common RAID
// Disk Data Format 2.0, 4.1.2 and 4.2).
[[nodiscard]] bool holds_raid_end(int disk);

// The disk that a partition lies on, as sysfs calls it; empty: it is no partition. `folder` is the
// partition's in sysfs, or a link there.
[[nodiscard]] std::string disk_of_partition(const std::string& folder);

// Whether the open block device is a partition of such a disk. Needs sysfs and /dev.
[[nodiscard]] bool lies_on_raid_member(int partition);

// Either of them.
[[nodiscard]] bool belongs_to_raid(int device);

// What to tell of it.
[[nodiscard]] Error raid_member_error(std::string_view path);

}  // namespace dw
