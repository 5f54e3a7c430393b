// A file target that is opened again to go on with its dump, and what it keeps room for on a disk
// that gets full.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/target/file_target.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

using Tree = std::vector<std::string>;

constexpr const char* kName = "host-1";

Fd root_of(const TempDir& dir) { return std::move(FileTarget::open_root(dir.path()).value()); }

FileTarget create(const TempDir& dir) {
  return std::move(FileTarget::create(root_of(dir).get(), kName, dir / kName).value());
}

Result<FileTarget> reopen(const TempDir& dir) {
  return FileTarget::reopen(root_of(dir).get(), kName, dir / kName, kSealedName);
}

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

void publish_one(const TempDir& dir, std::string_view content, std::string_view sums) {
  FileTarget target = create(dir);
  REQUIRE(target.append(0, bytes(content)).ok());
  REQUIRE(target.append_sums(bytes(sums)).ok());
  REQUIRE(target.sync().ok());
  REQUIRE(target.publish().ok());
}

}  // namespace

TEST_CASE("file_target: a published dump is gone on with: the same file, the same sums") {
  TempDir dir;
  publish_one(dir, std::string(5000, 'a'), "sums torn");
  struct stat before {};
  REQUIRE(::stat((dir / "host-1/vmcore.incomplete").c_str(), &before) == 0);
  {
    FileTarget target = std::move(reopen(dir).value());
    CHECK(target.path() == dir / "host-1/vmcore.incomplete");
    CHECK(target.size().value() == 5000);
    CHECK(target.sums_size().value() == 9);
    REQUIRE(target.cut_sums(5).ok());
    REQUIRE(target.append_sums(bytes("more")).ok());
    REQUIRE(target.append(4500, bytes(std::string(9000, 'b'))).ok());
    CHECK(target.size().value() == 13500);
    REQUIRE(target.sync().ok());
    REQUIRE(target.seal().ok());
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore", "host-1/vmcore.sums"});
  CHECK((read_file(dir / "host-1/vmcore") == std::string(4500, 'a') + std::string(9000, 'b')));
  CHECK(read_file(dir / "host-1/vmcore.sums") == "sums more");
  struct stat after {};
  REQUIRE(::stat((dir / "host-1/vmcore").c_str(), &after) == 0);
  CHECK(after.st_ino == before.st_ino);
}

TEST_CASE("file_target: a dump that another capture has open, or sealed, is not gone on with") {
  TempDir dir;
  CHECK_FALSE(reopen(dir).ok());
  {
    FileTarget first = create(dir);
    REQUIRE(first.publish().ok());
    CHECK(contains(text_of(reopen(dir)), "another capture of this crash is running"));
  }
  {
    Result<FileTarget> first = reopen(dir);
    REQUIRE(first.ok());
    CHECK(contains(text_of(reopen(dir)), "another capture of this crash is running"));
    REQUIRE(first->seal().ok());
  }
  CHECK(contains(text_of(reopen(dir)), "No such file or directory"));
}

TEST_CASE("file_target: what is no regular file is neither followed nor waited for") {
  TempDir dir;
  REQUIRE(::mkdir((dir / kName).c_str(), 0700) == 0);
  std::string dump = dir / "host-1/vmcore.incomplete";
  write_file(dir / "precious", "precious");
  REQUIRE(::symlink("../precious", dump.c_str()) == 0);
  CHECK_FALSE(reopen(dir).ok());
  REQUIRE(::unlink(dump.c_str()) == 0);
  REQUIRE(::mkfifo(dump.c_str(), 0600) == 0);
  CHECK(contains(text_of(reopen(dir)), "is no regular file"));
  REQUIRE(::unlink(dump.c_str()) == 0);
  publish_one(dir, "dump", "sums");
  REQUIRE(::unlink((dir / "host-1/vmcore.sums").c_str()) == 0);
  REQUIRE(::symlink("../precious", (dir / "host-1/vmcore.sums").c_str()) == 0);
  CHECK_FALSE(reopen(dir).ok());
  CHECK(read_file(dir / "precious") == "precious");
}

TEST_CASE("file_target: on a full disk the reserved files are replaced, the sums go on") {
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "size=256k");
  FileTarget target = create(dir);
  constexpr size_t kReport = 6000;
  constexpr size_t kSums = 40000;
  REQUIRE(target.reserve_file("report", kReport).ok());
  REQUIRE(target.preallocate_sums(kSums).ok());
  CHECK(target.preallocate_sums(1 << 20).error().kind() == ErrorKind::kNoSpace);
  CHECK(target.reserve_file("other", 1 << 20).error().kind() == ErrorKind::kNoSpace);
  REQUIRE(target.publish().ok());
  fill_disk(dir / "filler");
  CHECK(target.free_bytes() == 0);
  CHECK_FALSE(target.put_file("unreserved", bytes("text")).ok());
  for (size_t size : {size_t{6000}, size_t{10}, size_t{5000}, size_t{0}, size_t{6000}}) {
    std::string text(size, static_cast<char>('a' + size % 26));
    REQUIRE(target.put_file("report", bytes(text)).ok());
    CHECK((read_file(dir / "host-1/report") == text));
  }
  for (size_t i = 0; i < kSums / 100; ++i)
    REQUIRE(target.append_sums(bytes(std::string(100, 's'))).ok());
  CHECK(read_file(dir / "host-1/vmcore.sums").size() == kSums);
  CHECK(target.append_sums(bytes(std::string(8192, 's'))).error().kind() == ErrorKind::kNoSpace);
  REQUIRE(target.seal().ok());
  REQUIRE(target.put_file("report", bytes("sealed")).ok());
  CHECK(dir.tree() ==
        Tree{"filler", "host-1", "host-1/report", "host-1/vmcore", "host-1/vmcore.sums"});
}

TEST_CASE("file_target: of what was reserved nothing stays") {
  TempDir dir;
  {
    FileTarget target = create(dir);
    REQUIRE(target.reserve_file("report", 6000).ok());
    REQUIRE(target.preallocate_sums(1 << 20).ok());
    REQUIRE(target.append_sums(bytes("s")).ok());
    REQUIRE(target.publish().ok());
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.incomplete", "host-1/vmcore.sums"});
  struct stat status {};
  REQUIRE(::stat((dir / "host-1/vmcore.sums").c_str(), &status) == 0);
  CHECK(status.st_size == 1);
  CHECK(status.st_blocks * 512 < 1 << 16);
}

TEST_CASE("file_target: truncated, it goes on anywhere") {
  TempDir dir;
  FileTarget target = create(dir);
  REQUIRE(target.append(0, bytes(std::string(10000, 'a'))).ok());
  REQUIRE(target.truncate(6000).ok());
  CHECK(target.size().value() == 6000);
  REQUIRE(target.append(5000, bytes("b")).ok());
  REQUIRE(target.truncate(20).ok());
  REQUIRE(target.append(20, bytes("c")).ok());
  REQUIRE(target.truncate(30).ok());
  REQUIRE(target.sync().ok());
  REQUIRE(target.publish().ok());
  CHECK(read_file(dir / "host-1/vmcore.incomplete") ==
        std::string(20, 'a') + "c" + std::string(9, '\0'));
}

TEST_CASE("file_target: a finished dump gives back the room of the run that wrote it") {
  TempDir dir;
  publish_one(dir, "dump", "sums");
  std::string dump = dir / "host-1/vmcore";
  Fd file = std::move(open_file((dump + ".incomplete").c_str(), O_RDWR).value());
  REQUIRE(::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0);
  REQUIRE(FileTarget::seal_finished(root_of(dir).get(), kName, kIncompleteName).ok());
  struct stat status {};
  REQUIRE(::stat(dump.c_str(), &status) == 0);
  CHECK(status.st_blocks * 512 < 1 << 16);
  CHECK(read_file(dump) == "dump");
}
