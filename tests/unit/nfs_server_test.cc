// A directory on a real NFS server; longer trials are in tests/fault.
#include "capture/target/nfs/nfs_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/clock.h"
#include "capture/target/nfs/nfs_file.h"
#include "capture/target/nfs/nfs_status.h"
#include "capture/target/server/server_store.h"
#include "tests/fault/file_server_contract.h"
#include "tests/unit/support/nfs_server.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr ServerTimes kTimes{
    .connect_ms = 20'000, .reply_ms = 20'000, .sync_ms = 60'000, .keepalive_ms = 1'000};
// For servers that will not answer.
constexpr ServerTimes kShort{
    .connect_ms = 500, .reply_ms = 500, .sync_ms = 500, .keepalive_ms = 200};
// What a call may take that has such limits, on a machine that does other things too.
constexpr uint64_t kSoonMs = 15'000;

std::string told(const Error& error) {
  char text[600];
  error.format(text, sizeof(text));
  return text;
}

std::unique_ptr<FileServer> opened(const NfsAddress& address, const ServerTimes& times = kTimes) {
  auto server = NfsServer::open(address, times);
  REQUIRE_MESSAGE(server.ok(), (server.ok() ? "" : told(server.error())));
  return std::move(*server);
}

Error refused(const NfsAddress& address, const ServerTimes& times = kTimes) {
  auto server = NfsServer::open(address, times);
  REQUIRE_FALSE(server.ok());
  INFO(told(server.error()));
  return server.error();
}

std::unique_ptr<ServerFile> created(FileServer& server, const std::string& path) {
  auto file = server.open(path, FileServer::Open::kCreate);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : told(file.error())));
  return std::move(*file);
}

template <typename T>
void require_ok(const Result<T>& result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : told(result.error())));
}

template <typename T>
void check_errno(const Result<T>& result, int errno_value) {
  REQUIRE_FALSE(result.ok());
  INFO(told(result.error()));
  CHECK(result.error().errno_value() == errno_value);
  CHECK_FALSE(is_lost(result.error()));
}

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> pattern(size_t size) {
  std::vector<std::byte> made(size);
  uint32_t state = 12345;
  for (std::byte& byte : made) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return made;
}

NfsWritten unstable(uint8_t boot) {
  NfsWritten written;
  written.count = 1;
  written.verifier.fill(std::byte{boot});
  return written;
}

}  // namespace

#define FOR_EACH_VERSION(version) for (int version : {3, 4})

TEST_CASE("NFS: the tests' server can be killed, and started again on its ports") {
  TimeLimit limit(300);
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

TEST_CASE("NFS: what every server has to do") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    check_server_contract(*server);
    if (version == 4) check_server_nameless_files(*server);
    CHECK(tree_of(nfs.data()).empty());
  }
}

TEST_CASE("NFS: files and folders of the server's own disk") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    std::string folder = "v" + std::to_string(version);
    require_ok(server->make_directory(folder));
    auto file = created(*server, folder + "/a");
    std::vector<std::byte> data = pattern(5 << 20);
    require_ok(file->write(3, data));
    require_ok(file->commit());
    std::string on_disk = read_file(nfs / (folder + "/a"));
    REQUIRE(on_disk.size() == data.size() + 3);
    CHECK(std::ranges::equal(bytes(on_disk).subspan(3), data));
    std::vector<std::byte> back(data.size());
    require_ok(file->read(3, back));
    CHECK(back == data);

    struct stat status {};
    REQUIRE(::stat((nfs / (folder + "/a")).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    REQUIRE(::stat((nfs / folder).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
    CHECK(server->free_bytes().value().value() > 0);
    CHECK(server->display() == "nfs://127.0.0.1:" + std::to_string(nfs.port()) + "/export");
  }
}

TEST_CASE("NFS: a symbolic link is not followed") {
  TimeLimit limit(300);
  TestNfs nfs;
  write_file(nfs / "file", "content");
  REQUIRE(::symlink("file", (nfs / "link").c_str()) == 0);
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    CHECK(server->look("link").value().kind == ServerEntry::Kind::kOther);
    check_errno(server->open("link", FileServer::Open::kReadWrite), ELOOP);
    check_errno(server->open("link", FileServer::Open::kCreate), EEXIST);
  }
}

TEST_CASE("NFS: a rename that was cut off between its two steps is brought to its end") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    write_file(nfs / "a", "content");
    REQUIRE(::link((nfs / "a").c_str(), (nfs / "b").c_str()) == 0);
    auto server = opened(address_of(nfs, version));
    require_ok(server->rename("a", "b"));
    CHECK(tree_of(nfs.data()) == std::vector<std::string>{"b"});
    require_ok(server->remove("b"));
  }
}

TEST_CASE("NFS: a dump keeps no second name of a rename that was cut off") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    ServerStore store(opened(address_of(nfs, version)));
    {
      auto target = std::move(store.create("host-1", "vmcore").value());
      require_ok(target->write_at(0, bytes("dump")));
      require_ok(target->sync());
      require_ok(target->publish());
    }
    auto second_name = [&](const std::string& name, const std::string& other) {
      REQUIRE(::link((nfs / ("host-1/" + name)).c_str(), (nfs / ("host-1/" + other)).c_str()) == 0);
    };
    auto names = [&] { return tree_of(nfs / "host-1"); };
    second_name("vmcore.incomplete", "vmcore.new");
    require_ok(store.reopen("host-1", "vmcore"));
    CHECK(names() == std::vector<std::string>{"vmcore.incomplete", "vmcore.sums"});

    // A file of its own stays.
    write_file(nfs / "host-1/vmcore.new", "other");
    require_ok(store.reopen("host-1", "vmcore"));
    CHECK(read_file(nfs / "host-1/vmcore.new") == "other");
    REQUIRE(::unlink((nfs / "host-1/vmcore.new").c_str()) == 0);

    require_ok(store.seal_finished("host-1", "vmcore.incomplete"));
    second_name("vmcore", "vmcore.incomplete");
    store.remove_leftovers("host-1", "vmcore", std::array{"vmcore.json"});
    CHECK(names() == std::vector<std::string>{"vmcore", "vmcore.sums"});
    CHECK(read_file(nfs / "host-1/vmcore") == "dump");

    write_file(nfs / "host-1/vmcore.incomplete", "other");
    store.remove_leftovers("host-1", "vmcore", std::array{"vmcore.json"});
    CHECK(read_file(nfs / "host-1/vmcore.incomplete") == "other");
    std::filesystem::remove_all(nfs / "host-1");
  }
}

TEST_CASE("NFS: without a version it is the newest that the server speaks") {
  TimeLimit limit(300);
  for (int spoken : {3, 4}) {
    CAPTURE(spoken);
    TestNfs nfs({"--versions", std::to_string(spoken)});
    NfsAddress address = address_of(nfs, spoken);
    if (spoken == 3) {
      address.version = 4;
      CHECK(refused(address).kind() == ErrorKind::kUnsupported);
    }
    address.version.reset();
    auto server = opened(address);
    CHECK(static_cast<NfsServer&>(*server).version() == spoken);
    require_ok(server->make_directory("folder"));
  }
  TestNfs both;
  NfsAddress address = address_of(both, 3);
  address.version.reset();
  CHECK(static_cast<NfsServer&>(*opened(address)).version() == 4);
}

TEST_CASE("NFS: the directory may be below the export, and is made if it is missing") {
  TimeLimit limit(300);
  TestNfs nfs;
  REQUIRE(::mkdir((nfs / "one").c_str(), 0755) == 0);
  REQUIRE(::mkdir((nfs / "one/two").c_str(), 0755) == 0);
  write_file(nfs / "file", "");
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    NfsAddress address = address_of(nfs, version);
    address.directory = "/export/one/two/";
    auto server = opened(address);
    require_ok(server->make_directory("three"));
    CHECK(::rmdir((nfs / "one/two/three").c_str()) == 0);
    std::string missing = "missing" + std::to_string(version);
    address.directory = "/export/" + missing + "/below";
    require_ok(opened(address)->make_directory("three"));
    struct stat made {};
    REQUIRE(::stat((nfs / (missing + "/below")).c_str(), &made) == 0);
    CHECK((made.st_mode & 07777) == 0700);
    address.directory = "/export/file";
    CHECK(refused(address).errno_value() == ENOTDIR);
    address.directory = "/other";
    Error error = refused(address);
    INFO(told(error));
    // Of NFSv3 a server may keep to itself which exports it has.
    if (version == 3) CHECK((error.errno_value() == ENOENT || error.errno_value() == EACCES));
    if (version == 4) CHECK(error.errno_value() == EROFS);
    CHECK_FALSE(is_lost(error));
  }
}

TEST_CASE("NFS: what the server does not allow is told, and not tried again") {
  TimeLimit limit(300);
  TestNfs nfs({"--read-only"});
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    check_errno(server->make_directory("folder"), EROFS);
    check_errno(server->open("file", FileServer::Open::kCreate), EROFS);
  }
  TestNfs ordinary;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    NfsAddress address = address_of(ordinary, version);
    address.uid = 65534;
    address.gid = 65534;
    auto server = opened(address);
    check_errno(server->make_directory("folder"), EACCES);
    check_errno(server->open("file", FileServer::Open::kCreate), EACCES);
    REQUIRE(::chown(ordinary.data().c_str(), 65534, 65534) == 0);
    require_ok(server->make_directory("folder"));
    struct stat status {};
    REQUIRE(::stat((ordinary / "folder").c_str(), &status) == 0);
    CHECK(status.st_uid == 65534);
    require_ok(server->remove_directory("folder"));
    REQUIRE(::chown(ordinary.data().c_str(), 0, 0) == 0);
  }
}

TEST_CASE("NFS: as root we come from a port that servers trust") {
  TimeLimit limit(300);
  TestNfs nfs({"--secure"});
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    require_ok(server->make_directory("folder" + std::to_string(version)));
  }
}

TEST_CASE("NFS: nobody there, no such name, somebody who says nothing") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    NfsAddress address = address_of(nfs, version);
    nfs.freeze();
    uint64_t start_ms = monotonic_ms();
    Error error = refused(address, kShort);
    CHECK(error.kind() == ErrorKind::kTimeout);
    CHECK(monotonic_ms() - start_ms < kSoonMs);
    nfs.thaw();
    address.host = "no-such-host.invalid";
    CHECK(refused(address, kShort).subject().find("no-such-host") != std::string_view::npos);
  }
  nfs.stop();
  FOR_EACH_VERSION(version) {
    Error error = refused(address_of(nfs, version));
    CHECK(error.kind() == ErrorKind::kLost);
    CHECK(error.errno_value() == ECONNREFUSED);
    nfs.restart();
    nfs.stop();
  }
}

TEST_CASE("NFS: a server that stops answering ends every call in time, and for good") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version), kShort);
    auto file = created(*server, "file" + std::to_string(version));
    require_ok(file->write(0, bytes("some")));
    require_ok(file->flush());
    nfs.freeze();
    uint64_t start_ms = monotonic_ms();
    std::vector<std::byte> data = pattern(20 << 20);
    Status status = file->write(0, data);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kTimeout);
    CHECK(is_lost(file->commit().error()));
    nfs.thaw();
    CHECK(is_lost(server->look("file").error()));
    CHECK(is_lost(file->read(0, MutableBytes(data).first(4)).error()));
    file.reset();
    server.reset();
    CHECK(monotonic_ms() - start_ms < kSoonMs);
  }
}

TEST_CASE("NFS: a server that is killed is lost soon, and there again for a new connection") {
  TimeLimit limit(300);
  TestNfs nfs;
  FOR_EACH_VERSION(version) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    auto file = created(*server, "file" + std::to_string(version));
    std::vector<std::byte> data = pattern(4 << 20);
    require_ok(file->write(0, data));
    nfs.kill();
    uint64_t start_ms = monotonic_ms();
    Status status = file->commit();
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kLost);
    CHECK(monotonic_ms() - start_ms < kSoonMs);
    nfs.restart();
    CHECK(is_lost(file->commit().error()));
    auto again = opened(address_of(nfs, version));
    CHECK(again->look("file" + std::to_string(version)).value().kind == ServerEntry::Kind::kFile);
  }
}

TEST_CASE("NFS: a verifier that changes means that the server may have forgotten") {
  TimeLimit limit(300);
  SUBCASE("writes and their commit agree") {
    NfsPromise promise;
    CHECK(promise.written(unstable(1)));
    CHECK(promise.written(unstable(1)));
    CHECK(promise.committed(unstable(1).verifier, promise.writes()));
    // Nothing is owed any more: another boot of the server is none of our business.
    CHECK(promise.written(unstable(2)));
    CHECK(promise.committed(unstable(2).verifier, promise.writes()));
    CHECK(promise.committed(unstable(3).verifier, promise.writes()));
  }
  SUBCASE("between two writes") {
    NfsPromise promise;
    CHECK(promise.written(unstable(1)));
    CHECK_FALSE(promise.written(unstable(2)));
  }
  SUBCASE("between the last write and the commit") {
    NfsPromise promise;
    CHECK(promise.written(unstable(1)));
    CHECK_FALSE(promise.committed(unstable(2).verifier, promise.writes()));
  }
  SUBCASE("after a commit that did not speak for all writes") {
    NfsPromise promise;
    CHECK(promise.written(unstable(1)));
    uint64_t writes = promise.writes();
    CHECK(promise.written(unstable(1)));
    CHECK(promise.committed(unstable(1).verifier, writes));
    CHECK_FALSE(promise.written(unstable(2)));
  }
  SUBCASE("what is durable at once needs no promise") {
    NfsPromise promise;
    NfsWritten durable = unstable(1);
    durable.durable = true;
    CHECK(promise.written(durable));
    CHECK(promise.written(unstable(2)));
    CHECK(promise.committed(unstable(2).verifier, promise.writes()));
  }
}

TEST_CASE("NFS: what a server says becomes an error that fits") {
  TimeLimit limit(300);
  CHECK(nfs_error("cannot", 28).kind() == ErrorKind::kNoSpace);
  CHECK(nfs_error("cannot", 69).kind() == ErrorKind::kNoSpace);
  CHECK(nfs_error("cannot", 13).errno_value() == EACCES);
  CHECK(nfs_error("cannot", 13).kind() == ErrorKind::kIo);
  CHECK(nfs_error("cannot", 70).kind() == ErrorKind::kLost);
  CHECK(nfs_error("cannot", 10008).kind() == ErrorKind::kTimeout);
  CHECK(nfs_error("cannot", 4711).errno_value() == EIO);
  CHECK(nfs_needs_time(10008));
  CHECK(nfs_needs_time(10013));
  CHECK_FALSE(nfs_needs_time(70));
}
