#include "capture/target/server/server_target.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>
#include <vector>

#include "capture/target/server/standing_files.h"
#include "tests/unit/support/directory_server.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr const char* kName = "host-1";

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Place {
  TempDir dir;
  ServerDisk disk{dir.path()};
  std::string folder = dir / kName;

  [[nodiscard]] std::string file(const std::string& name) const {
    return read_file(folder + "/" + name);
  }
  [[nodiscard]] std::vector<std::string> names() const { return tree_of(dir.path()); }
};

std::unique_ptr<ServerTarget> stage(FileServer& server) {
  return std::move(ServerTarget::create(server, kName, "vmcore").value());
}

std::unique_ptr<ServerTarget> publish(FileServer& server) {
  std::unique_ptr<ServerTarget> target = stage(server);
  REQUIRE(target->append(0, bytes("dump")).ok());
  REQUIRE(target->append_sums(bytes("sums")).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->publish().ok());
  return target;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("server target: a staged file that was left behind is replaced, not used again") {
  Place place;
  DirectoryServer lost(place.disk, {.seed = 3});
  std::unique_ptr<ServerTarget> before = stage(lost);
  REQUIRE(before->append(0, bytes("of another run")).ok());
  REQUIRE(before->append_sums(bytes("its sums")).ok());
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = publish(server);
  // What was on its way arrives.
  REQUIRE(before->sync().ok());
  CHECK(place.file("vmcore.incomplete") == "dump");
  CHECK(place.file("vmcore.sums") == "sums");
}

TEST_CASE(
    "server target: of two captures at once one publishes, and the other takes nothing away") {
  for (bool sums : {false, true}) {
    CAPTURE(sums);
    Place place;
    DirectoryServer one(place.disk);
    DirectoryServer other(place.disk);
    std::unique_ptr<ServerTarget> first = stage(one);
    if (sums) REQUIRE(first->append_sums(bytes("other")).ok());
    std::unique_ptr<ServerTarget> second = stage(other);
    REQUIRE(second->append(0, bytes("dump")).ok());
    REQUIRE(second->append_sums(bytes("sums")).ok());
    REQUIRE(second->sync().ok());
    REQUIRE(first->sync().ok());
    Status refused = first->publish();
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().errno_value() == EBUSY);
    CHECK(contains(text_of(refused), "another capture of this crash is running"));
    first.reset();
    CHECK(place.names() == Names{"host-1", "host-1/vmcore.new", "host-1/vmcore.sums"});
    REQUIRE(second->publish().ok());
    second.reset();
    CHECK(place.names() == Names{"host-1", "host-1/vmcore.incomplete", "host-1/vmcore.sums"});
    CHECK(place.file("vmcore.incomplete") == "dump");
    CHECK(place.file("vmcore.sums") == "sums");
  }
}

TEST_CASE("server target: a capture that is not alone any more when it ends takes nothing away") {
  Place place;
  DirectoryServer one(place.disk);
  DirectoryServer other(place.disk);
  std::unique_ptr<ServerTarget> first = stage(one);
  REQUIRE(first->append_sums(bytes("other")).ok());
  std::unique_ptr<ServerTarget> second = publish(other);
  first.reset();
  CHECK(place.names() == Names{"host-1", "host-1/vmcore.incomplete", "host-1/vmcore.sums"});
}

TEST_CASE("server target: where a dump stands none is begun") {
  for (const char* there : {"vmcore", "vmcore.zst.incomplete"}) {
    Place place;
    std::filesystem::create_directory(place.folder);
    write_file(place.folder + "/" + there, "precious");
    write_file(place.folder + "/vmcore.sums", "its sums");
    DirectoryServer server(place.disk);
    Result<std::unique_ptr<ServerTarget>> target = ServerTarget::create(server, kName, "vmcore");
    REQUIRE_FALSE(target.ok());
    CHECK(place.file(there) == "precious");
    CHECK(place.file("vmcore.sums") == "its sums");
    CHECK(place.names().size() == 3);
  }
}

TEST_CASE("server target: what stands under its names is neither followed nor opened") {
  Place place;
  TempDir elsewhere;
  write_file(elsewhere / "file", "precious");
  std::filesystem::create_directory(place.folder);
  for (const char* name : {"vmcore.new", "vmcore.sums", "report.once"})
    std::filesystem::create_symlink(elsewhere / "file", place.folder + "/" + name);
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = publish(server);
  REQUIRE(target->put_file("report", bytes("saving")).ok());
  CHECK(read_file(elsewhere / "file") == "precious");
  CHECK(place.names().size() == 4);
  std::filesystem::remove(place.folder + "/vmcore.sums");
  std::filesystem::create_symlink(elsewhere / "file", place.folder + "/vmcore.sums");
  CHECK_FALSE(ServerTarget::reopen(server, kName, "vmcore").ok());
  CHECK(read_file(elsewhere / "file") == "precious");
}

TEST_CASE("server target: what nobody answered for may be published, and that is told") {
  Place place;
  DirectoryServer counting(place.disk);
  publish(counting);
  unsigned told = 0;
  for (uint64_t k = 0; k < counting.calls(); ++k) {
    std::filesystem::remove_all(place.folder);
    DirectoryServer server(place.disk, {.lose_at = k, .seed = k + 1});
    Result<std::unique_ptr<ServerTarget>> target = ServerTarget::create(server, kName, "vmcore");
    if (!target.ok() || !(*target)->append(0, bytes("dump")).ok() || !(*target)->sync().ok())
      continue;
    bool failed = !(*target)->publish().ok();
    bool stands = std::filesystem::exists(place.folder + "/vmcore.incomplete");
    CHECK_FALSE(((*target)->may_be_published() && !failed));
    if (failed && stands) CHECK((*target)->may_be_published());
    told += failed && stands && (*target)->may_be_published();
  }
  CHECK(told > 0);
}

TEST_CASE("server target: room for a large table is taken in pieces, each of which is told of") {
  Place place;
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = stage(server);
  unsigned pieces = 0;
  target->set_moved([&] { ++pieces; });
  constexpr uint64_t kLength = 130 << 20;
  REQUIRE(target->preallocate(4096, kLength).ok());
  CHECK(pieces == 3);
  CHECK(target->size().value() == 4096 + kLength);
}

TEST_CASE("server target: a publish that is refused is not in doubt") {
  Place place;
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = stage(server);
  REQUIRE(target->append(0, bytes("dump")).ok());
  REQUIRE(target->sync().ok());
  std::filesystem::create_directory(place.folder + "/vmcore.incomplete");
  CHECK_FALSE(target->publish().ok());
  CHECK_FALSE(target->may_be_published());
}

TEST_CASE("server target: a lost connection is told by every call, and leaves what was published") {
  Place place;
  DirectoryServer counting(place.disk);
  publish(counting);
  uint64_t calls = counting.calls();
  for (uint64_t k = 0; k < calls; ++k) {
    std::filesystem::remove_all(place.folder);
    DirectoryServer server(place.disk, {.lose_at = k, .seed = k + 1});
    Status failed;
    {
      Result<std::unique_ptr<ServerTarget>> target = ServerTarget::create(server, kName, "vmcore");
      failed = target.ok() ? Status() : Status(target.error());
      if (failed.ok()) failed = (*target)->append(0, bytes("dump"));
      if (failed.ok()) failed = (*target)->append_sums(bytes("sums"));
      if (failed.ok()) failed = (*target)->sync();
      if (failed.ok()) failed = (*target)->publish();
      if (failed.ok()) continue;  // lost when it was closed
      if (target.ok()) CHECK_FALSE((*target)->sync().ok());
    }
    CHECK(failed.error().kind() == ErrorKind::kLost);
    DirectoryServer next(place.disk);
    Result<StandingFiles> standing = find_standing_files(next, kName);
    REQUIRE(standing.ok());
    if (standing->dump.standing == Standing::kIncomplete)
      CHECK(place.file("vmcore.incomplete") == "dump");
    else
      publish(next);
  }
}

TEST_CASE("server target: a full disk costs what was appended since the last sync") {
  if (!may_mount()) return;
  Place place;
  SmallDisk disk(place.dir.path(), "size=4m");
  DirectoryServer server(place.disk, {.most_on_their_way = 8});
  std::string page(4096, 'p');
  std::unique_ptr<ServerTarget> target = stage(server);
  constexpr size_t kTable = 100000;
  REQUIRE(target->preallocate(0, kTable).ok());
  REQUIRE(target->preallocate_sums(kTable).ok());
  REQUIRE(target->reserve_file("report", 9000).ok());
  CHECK(target->preallocate(kTable, 8 << 20).error().kind() == ErrorKind::kNoSpace);
  CHECK(target->preallocate_sums(8 << 20).error().kind() == ErrorKind::kNoSpace);
  REQUIRE(target->append(kTable, bytes(page)).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->publish().ok());
  fill_disk(place.dir / "filler");
  REQUIRE(target->write_at(0, bytes(page)).ok());
  REQUIRE(target->append_sums(bytes(page)).ok());
  REQUIRE(target->sync().ok());
  Status full;
  for (uint64_t i = 1; full.ok() && i < 5000; ++i)
    full = target->append(kTable + i * page.size(), bytes(page));
  REQUIRE_FALSE(full.ok());
  CHECK(full.error().kind() == ErrorKind::kNoSpace);
  CHECK(contains(text_of(full), "; free some space there"));
  CHECK_FALSE(target->sync().ok());
  CHECK_FALSE(target->sync().ok());
  for (size_t size : {9000U, 10U, 5000U, 9000U}) {
    std::string report(size, static_cast<char>('a' + size % 7));
    Status put = target->put_file("report", bytes(report));
    REQUIRE_MESSAGE(put.ok(), text_of(put));
    CHECK(place.file("report") == report);
  }
  target.reset();
  std::filesystem::remove(place.dir / "filler");
  target = std::move(ServerTarget::reopen(server, kName, "vmcore").value());
  std::string back(kTable + page.size(), ' ');
  REQUIRE(target->read_at(0, std::as_writable_bytes(std::span(back))).ok());
  CHECK(back == page + std::string(kTable - page.size(), '\0') + page);
  CHECK(target->sums_size().value() == page.size());
  CHECK(server.misuses() == 0);
}

TEST_CASE("server target: small writes and reads beside them do not wait") {
  Place place;
  DirectoryServer server(place.disk, {.most_on_their_way = 100000});
  std::unique_ptr<ServerTarget> target = stage(server);
  REQUIRE(target->preallocate(0, 1 << 20).ok());
  REQUIRE(target->sync().ok());
  uint64_t waits = server.waits();
  uint64_t reads = server.reads();
  std::string run(2400, 'r');
  std::string bits(32, ' ');
  for (uint64_t i = 0; i < 200; ++i) {
    REQUIRE(target->write_at((512 << 10) + i * run.size(), bytes(run)).ok());
    REQUIRE(target->append((1 << 20) + i * run.size(), bytes(run)).ok());
    REQUIRE(target->append_sums(bytes(run)).ok());
    REQUIRE(target->read_at(i * 320, std::as_writable_bytes(std::span(bits))).ok());
  }
  CHECK(server.waits() == waits);
  CHECK(server.reads() == reads + 1);
  // But what was written is read, and written over, behind what is on its way.
  REQUIRE(target->write_at(512 << 10, bytes("over")).ok());
  REQUIRE(target->read_at(512 << 10, std::as_writable_bytes(std::span(bits))).ok());
  CHECK(bits == "over" + std::string(28, 'r'));
  REQUIRE(target->read_at(1 << 20, std::as_writable_bytes(std::span(bits))).ok());
  CHECK(bits == std::string(32, 'r'));
  CHECK(server.misuses() == 0);
}

TEST_CASE("server target: a barrier does not wait, and nothing behind it is sent too early") {
  Place place;
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = publish(server);
  uint64_t waits = server.waits();
  auto sent = [&](std::string_view name, uint64_t offset) {
    return std::ranges::any_of(place.disk.writes(), [&](const ServerDisk::Write& write) {
      return write.path.ends_with(name) && write.offset == offset && write.connection == 1;
    });
  };
  REQUIRE(target->append(100, bytes("page")).ok());
  REQUIRE(target->barrier().ok());
  CHECK(sent("vmcore.new", 100));
  REQUIRE(target->write_behind(50, bytes("point")).ok());
  REQUIRE(target->write_behind(55, bytes("er")).ok());
  REQUIRE(target->append_sums(bytes("record")).ok());
  CHECK(target->sums_size().value() == 10);
  CHECK_FALSE(sent("vmcore.new", 50));
  CHECK_FALSE(sent("vmcore.sums", 4));
  for (uint64_t i = 1; i < 10; ++i) REQUIRE(target->append(100 + i * 4, bytes("page")).ok());
  CHECK(sent("vmcore.new", 50));
  CHECK_FALSE(sent("vmcore.new", 55));  // with what was before it
  CHECK(sent("vmcore.sums", 4));
  CHECK(server.waits() == waits);

  // Who reads or writes over what is held sees it.
  REQUIRE(target->barrier().ok());
  REQUIRE(target->write_behind(60, bytes("behind")).ok());
  std::string back(6, ' ');
  REQUIRE(target->read_at(60, std::as_writable_bytes(std::span(back))).ok());
  CHECK(back == "behind");
  REQUIRE(target->barrier().ok());
  REQUIRE(target->write_behind(60, bytes("behind")).ok());
  REQUIRE(target->write_at(62, bytes("fore")).ok());
  REQUIRE(target->append_sums(bytes("!")).ok());
  target.reset();
  CHECK(place.file("vmcore.incomplete").substr(50, 16) == std::string("pointer\0\0\0before", 16));
  CHECK(place.file("vmcore.sums") == "sumsrecord!");
  CHECK(server.misuses() == 0);
}

TEST_CASE("server target: more than can be held behind a barrier waits for it") {
  Place place;
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = publish(server);
  std::string run(6000, 'r');
  REQUIRE(target->barrier().ok());
  for (uint64_t i = 0; i < 1000; ++i)
    REQUIRE(target->write_behind(i * 2 * run.size(), bytes(run)).ok());
  REQUIRE(target->sync().ok());
  std::string dump = place.file("vmcore.incomplete");
  for (uint64_t i = 0; i < 1000; ++i)
    REQUIRE(std::string_view(dump).substr(i * 2 * run.size(), run.size()) == run);
  CHECK(server.misuses() == 0);
}

TEST_CASE("server target: written and read by several threads") {
  Place place;
  DirectoryServer server(place.disk);
  std::unique_ptr<ServerTarget> target = stage(server);
  constexpr size_t kRuns = 100;
  constexpr size_t kRun = 1000;
  REQUIRE(target->preallocate(0, 4 * kRuns * kRun).ok());
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::string run(kRun, static_cast<char>('a' + t));
      std::string back(kRun, ' ');
      for (size_t i = 0; i < kRuns; ++i) {
        uint64_t at = (i * 4 + t) * kRun;
        CHECK(target->write_at(at, bytes(run)).ok());
        CHECK(target->read_at(at, std::as_writable_bytes(std::span(back))).ok());
        CHECK(back == run);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(target->sync().ok());
  CHECK(server.misuses() == 0);
}
