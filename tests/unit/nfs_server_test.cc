#include "tests/unit/support/nfs_server.h"

#include <doctest/doctest.h>

using namespace dw::test;

TEST_CASE("NFS: the tests' server can be killed, and started again on its ports") {
  TestNfs server;
  uint16_t port = server.port();
  uint16_t mount_port = server.mount_port();
  CHECK(mount_port != port);
  server.kill();
  server.restart();
  server.freeze();
  server.thaw();
  server.restart();
  CHECK(server.port() == port);
  CHECK(server.mount_port() == mount_port);
}
