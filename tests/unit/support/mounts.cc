#include "tests/unit/support/mounts.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace dw::test {

bool enter_private_mounts() {
  static const bool entered = ::unshare(CLONE_NEWNS) == 0 &&
                              ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return entered;
}

SmallDisk::SmallDisk(std::string folder, const std::string& options) : folder_(std::move(folder)) {
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, options.c_str()) != 0)
    throw std::runtime_error("cannot mount a tmpfs on " + folder_);
}

SmallDisk::~SmallDisk() {
  if (::umount2(folder_.c_str(), MNT_DETACH) != 0) std::perror(folder_.c_str());
}

void SmallDisk::make_read_only() {
  if (::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
    throw std::runtime_error("cannot remount " + folder_);
}

}  // namespace dw::test
