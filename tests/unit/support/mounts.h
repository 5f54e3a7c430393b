// Small file systems of a test's own: a tmpfs in a mount namespace that ends with the test program.
#pragma once

#include <string>

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

}  // namespace dw::test
