// What a capture may take for a target on a server is reserved before (store_memory_bytes()): it
// has to be enough for what the target and its connections allocate.

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "capture/target/nfs/nfs_server.h"
#include "capture/target/open_store.h"
#include "capture/target/server/server_store.h"
#include "capture/target/server/server_target.h"
#include "capture/target/ssh/sftp_pool.h"
#include "tests/unit/support/nfs_server.h"
#include "tests/unit/support/ssh_login.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

// As a capture uses it: pages on their way, a checkpoint, and the side file. Bytes of the server
// then, without the target.
size_t server_bytes(std::unique_ptr<FileServer> server) {
  ServerStore store(std::move(server));
  auto target = store.create("host-1", "vmcore");
  REQUIRE(target.ok());
  std::vector<std::byte> piece(1 << 20, std::byte{7});
  for (uint64_t i = 0; i < 24; ++i) {
    REQUIRE((*target)->append(i * piece.size(), piece).ok());
    if (i == 12) REQUIRE((*target)->barrier().ok());
    REQUIRE((*target)->append_sums(std::span(piece).first(100)).ok());
  }
  REQUIRE((*target)->sync().ok());
  REQUIRE((*target)->publish().ok());
  REQUIRE(store.memory_bytes() > ServerTarget::memory_bytes());
  return store.memory_bytes() - ServerTarget::memory_bytes();
}

}  // namespace

TEST_CASE("store memory: what is reserved is enough for SSH, with all connections") {
  TimeLimit limit(300);
  TestSshd sshd;
  size_t one = server_bytes(Login(sshd).opened());
  CHECK(one > 100'000);
  CHECK(one * SftpPool::kMostConnections + ServerTarget::memory_bytes() <=
        store_memory_bytes(TargetKind::kSsh));
}

TEST_CASE("store memory: what is reserved is enough for NFS") {
  TimeLimit limit(300);
  TestNfs nfs;
  for (int version : {3, 4}) {
    CAPTURE(version);
    auto server = NfsServer::open(address_of(nfs, version), kTimes);
    REQUIRE(server.ok());
    size_t bytes = server_bytes(std::move(*server));
    CHECK(bytes > 8 << 20);
    CHECK(bytes + ServerTarget::memory_bytes() <= store_memory_bytes(TargetKind::kNfs));
    std::filesystem::remove_all(nfs / "host-1");
  }
}
