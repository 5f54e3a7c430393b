#include "tests/unit/support/may_mount.h"

#include <doctest/doctest.h>

#include "tests/unit/support/mounts.h"

namespace dw::test {

bool may_mount() {
  bool may = enter_private_mounts();
  CHECK_MESSAGE(may, "run this as root: it mounts small file systems of its own");
  return may;
}

}  // namespace dw::test
