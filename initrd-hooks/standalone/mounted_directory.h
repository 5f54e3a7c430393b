// A directory of this machine as a target that an initrd can mount: `dev:UUID=U:/DIR`.
//
// For whoever makes an initrd, in which the directory would be memory. Thread safety: plain
// functions. Source of the format: proc_pid_mountinfo(5).
#pragma once

#include <string>

#include "capture/base/result.h"

namespace dw {

// Where to look; a test has files of its own.
struct MountPlaces {
  std::string mountinfo = "/proc/self/mountinfo";
  std::string fstab = "/etc/fstab";
  std::string sys_dev_block = "/sys/dev/block";
  std::string dev = "/dev";
};

// `directory` is absolute and need not exist; links in it are followed. DIR is its path from the
// root of the file system, so that it is the same directory where another folder was mounted here
// (mount --bind). kUsage, on the directory: it lies on what the initrd cannot mount, or on what is
// to be mounted here (fstab(5), autofs) and is not now; kIo and others: this machine does not tell.
Result<std::string> device_target_of(const std::string& directory, const MountPlaces& places);

}  // namespace dw
