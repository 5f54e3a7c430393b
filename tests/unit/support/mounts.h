// Small file systems of a test's own, in a mount namespace that ends with the test program.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/support/temp_dir.h"

namespace dw::test {

// Moves this process into a mount namespace of its own, once. False if it may not (not root): the
// caller says so and ends its test.
[[nodiscard]] bool enter_private_mounts();

// A tmpfs on `folder` until the object goes away. `options` as of mount(8), such as "size=64k".
class SmallDisk {
 public:
  SmallDisk(std::string folder, const std::string& options);
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();

  void make_read_only();

 private:
  std::string folder_;
};

// A file system on a loop device, on a folder of its own; what it holds is in memory. `type` is
// ext2, ext4, btrfs or xfs; an xfs has 300 MiB at the least.
class LoopDisk {
 public:
  LoopDisk(const std::string& type, unsigned size_mib);
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;
  ~LoopDisk();

  [[nodiscard]] const std::string& path() const { return folder_.path(); }

 private:
  TempDir image_folder_;
  SmallDisk image_disk_{image_folder_.path(), "size=1g"};
  TempDir folder_;
};

// A block device of `size_kib`; what it holds is in memory.
class LoopDevice {
 public:
  explicit LoopDevice(unsigned size_kib);
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  // Of all of it.
  [[nodiscard]] std::string content() const;
  void set_content(std::string_view content) const;

 private:
  uint64_t bytes_;
  TempDir image_folder_;
  SmallDisk image_disk_{image_folder_.path(), "size=1g"};
  std::string path_;
};

// mkfs, mkswap and the like; throws if it fails.
void must_run(const std::vector<std::string>& arguments);

// Takes all space of a file system that is still free, with the file `path`; some bytes less than a
// block may be left.
void fill_disk(const std::string& path);

}  // namespace dw::test
