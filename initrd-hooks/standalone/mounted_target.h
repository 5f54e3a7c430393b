// The file system of a device target, mounted: below it lies the folder that the dump goes to.
//
// Thread safety: owned by one thread. Ownership: the mount outlives the object unless unmount() is
// called, since an unmount that fails has to be reported and not lost in a destructor.
#pragma once

#include <string>

#include "initrd-hooks/standalone/device.h"

namespace dw {

// Opens the folder `path` below the folder `root` on kernels without openat2(2) (before 5.6): one
// component at a time, and a symbolic link anywhere in it is an error, as it could lead out of the
// file system. The errno of a missing component is ENOENT.
Result<Fd> open_folder_without_links(int root, std::string_view path);

class MountedTarget {
 public:
  // Mounts `device` at `mount_point`, which is made if missing, read-write, without access times,
  // set-uid programs, devices and programs. kUnsupported: the kernel has no driver for the file
  // system.
  static Result<MountedTarget> mount(const FoundDevice& device, const std::string& mount_point);

  // What is mounted at `mount_point` already.
  static Result<MountedTarget> at(const std::string& mount_point);

  // `directory` (absolute, below the root of the file system) as a path of the initrd, with
  // symbolic links followed inside the file system, so that no link leads back into the initrd's
  // memory (before Linux 5.6 a link is an error). What is missing of it is left for the capture to
  // make.
  [[nodiscard]] Result<std::string> resolve(std::string_view directory) const;

  // Until it returns, the data may be in memory only.
  Status sync() const;
  Status unmount();

 private:
  MountedTarget(std::string mount_point, Fd root)
      : mount_point_(std::move(mount_point)), root_(std::move(root)) {}

  std::string mount_point_;
  Fd root_;
};

}  // namespace dw
