#include "capture/target/file_target.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

using Tree = std::vector<std::string>;

constexpr const char* kName = "host-1";

FileTarget create(const TempDir& dir) {
  Fd root = std::move(FileTarget::open_root(dir.path()).value());
  return std::move(FileTarget::create(root.get(), kName, dir / kName).value());
}

std::string create_error(const TempDir& dir) {
  Fd root = std::move(FileTarget::open_root(dir.path()).value());
  return text_of(FileTarget::create(root.get(), kName, dir / kName));
}

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("file_target: staged, published, sealed, each by a rename") {
  TempDir dir;
  {
    FileTarget target = create(dir);
    CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.new"});
    CHECK(mode_of(dir / "host-1") == 0700);
    CHECK(mode_of(dir / "host-1/vmcore.new") == 0600);
    REQUIRE(target.preallocate(0, 8192).ok());
    REQUIRE(target.write_at(100, bytes("abc")).ok());
    REQUIRE(target.sync().ok());
    REQUIRE(target.publish().ok());
    CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.incomplete"});
    CHECK(target.path() == dir / "host-1/vmcore.incomplete");
    REQUIRE(target.write_at(8192, bytes("defg")).ok());
    std::vector<std::byte> back(4);
    CHECK(target.read_at(8192, back).ok());
    CHECK_FALSE(target.read_at(8193, back).ok());
    REQUIRE(target.sync().ok());
    REQUIRE(target.seal().ok());
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore"});
  std::string content = read_file(dir / "host-1/vmcore");
  CHECK(content.size() == 8196);
  CHECK(content.substr(98, 7) == std::string("\0\0abc\0\0", 7));
  CHECK(content.substr(8192) == "defg");
}

TEST_CASE("file_target: what was staged and never published is removed") {
  TempDir dir;
  { FileTarget target = create(dir); }
  CHECK(dir.tree().empty());
}

TEST_CASE("file_target: other files of the directory stay when the staged one is removed") {
  TempDir dir;
  {
    FileTarget target = create(dir);
    write_file(dir / "host-1/vmcore-dmesg.txt", "log");
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore-dmesg.txt"});
}

TEST_CASE("file_target: what was published stays") {
  TempDir dir;
  {
    FileTarget target = create(dir);
    REQUIRE(target.publish().ok());
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.incomplete"});
}

TEST_CASE("file_target: moving it removes nothing") {
  TempDir dir;
  FileTarget first = create(dir);
  {
    FileTarget second = std::move(first);
    CHECK(second.write_at(0, bytes("x")).ok());
    REQUIRE(second.publish().ok());
  }
  CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.incomplete"});
}

TEST_CASE("file_target: a staged file of a run that was cut off is used again, empty") {
  TempDir dir;
  REQUIRE(::mkdir((dir / "host-1").c_str(), 0700) == 0);
  write_file(dir / "host-1/vmcore.new", "old and wrong");
  {
    FileTarget target = create(dir);
    REQUIRE(target.write_at(0, bytes("new")).ok());
    REQUIRE(target.publish().ok());
  }
  CHECK(read_file(dir / "host-1/vmcore.incomplete") == "new");
}

TEST_CASE("file_target: two captures of one crash at once: the second is refused") {
  TempDir dir;
  FileTarget first = create(dir);
  REQUIRE(first.write_at(0, bytes("first")).ok());
  CHECK(contains(create_error(dir), "another capture of this crash is running"));
  REQUIRE(first.publish().ok());
  CHECK(read_file(dir / "host-1/vmcore.incomplete") == "first");
}

TEST_CASE("file_target: nothing that is there is overwritten") {
  for (const char* there : {"vmcore.incomplete", "vmcore"}) {
    CAPTURE(there);
    TempDir dir;
    {
      FileTarget target = create(dir);
      if (there == std::string("vmcore")) REQUIRE(target.publish().ok());
      write_file(dir / "host-1/" + there, "precious");
      Status renamed = there == std::string("vmcore") ? target.seal() : target.publish();
      CHECK(contains(text_of(renamed), "cannot rename: File exists"));
    }
    CHECK(read_file(dir / "host-1/" + there) == "precious");
    CHECK(::access((dir / "host-1/vmcore.new").c_str(), F_OK) != 0);
  }
}

TEST_CASE("file_target: what stands in a dump's directory") {
  TempDir dir;
  Fd root = std::move(FileTarget::open_root(dir.path()).value());
  CHECK(FileTarget::look(root.get(), kName)->standing == Standing::kNothing);
  FileTarget target = create(dir);
  CHECK(FileTarget::look(root.get(), kName)->standing == Standing::kNothing);
  REQUIRE(target.publish().ok());
  CHECK(FileTarget::look(root.get(), kName)->standing == Standing::kIncomplete);
  REQUIRE(target.seal().ok());
  CHECK(FileTarget::look(root.get(), kName)->standing == Standing::kSealed);
  write_file(dir / "file", "");
  CHECK(FileTarget::look(root.get(), "file")->standing == Standing::kOther);
}

TEST_CASE("file_target: each format has its name, before and after sealing") {
  for (const char* name : kDumpNames) {
    TempDir dir;
    Fd root = std::move(FileTarget::open_root(dir.path()).value());
    FileTarget target = std::move(FileTarget::create(root.get(), kName, dir / kName, name).value());
    CHECK(target.path() == dir / "host-1/vmcore.new");
    REQUIRE(target.publish().ok());
    std::string incomplete = std::string(name) + ".incomplete";
    CHECK(dir.tree() == Tree{"host-1", "host-1/" + incomplete});
    StandingDump found = FileTarget::look(root.get(), kName).value();
    CHECK(found.standing == Standing::kIncomplete);
    CHECK(found.file == incomplete);
    REQUIRE(target.seal().ok());
    found = FileTarget::look(root.get(), kName).value();
    CHECK(found.standing == Standing::kSealed);
    CHECK(found.file == name);
    CHECK(contains(create_error(dir), "another capture of this crash is running"));
  }
}

TEST_CASE("file_target: a finished dump of any format gets its final name") {
  for (const char* name : kDumpNames) {
    TempDir dir;
    Fd root = std::move(FileTarget::open_root(dir.path()).value());
    REQUIRE(
        std::move(FileTarget::create(root.get(), kName, dir / kName, name).value()).publish().ok());
    StandingDump found = FileTarget::look(root.get(), kName).value();
    REQUIRE(FileTarget::seal_finished(root.get(), kName, found.file).ok());
    CHECK(dir.tree() == Tree{"host-1", std::string("host-1/") + name});
  }
}

TEST_CASE("file_target: sums are a file beside the dump, from the first on") {
  TempDir dir;
  REQUIRE(::mkdir((dir / "host-1").c_str(), 0700) == 0);
  write_file(dir / "host-1/vmcore.sums", "of a run that was cut off");
  {
    FileTarget target = create(dir);
    CHECK(dir.tree() == Tree{"host-1", "host-1/vmcore.new"});
    REQUIRE(target.append_sums(bytes("abc")).ok());
    REQUIRE(target.append_sums(bytes("de")).ok());
    CHECK(mode_of(dir / "host-1/vmcore.sums") == 0600);
    std::vector<std::byte> back(4);
    REQUIRE(target.read_sums(1, back).ok());
    CHECK(std::ranges::equal(back, bytes("bcde")));
    CHECK(contains(text_of(target.read_sums(2, back)), "host-1/vmcore.sums"));
    REQUIRE(target.sync().ok());
    FileTarget moved = std::move(target);
    REQUIRE(moved.append_sums(bytes("f")).ok());
    REQUIRE(moved.publish().ok());
  }
  CHECK(read_file(dir / "host-1/vmcore.sums") == "abcdef");
}

TEST_CASE("file_target: sums of what was never published go with it") {
  TempDir dir;
  {
    FileTarget target = create(dir);
    REQUIRE(target.append_sums(bytes("abc")).ok());
  }
  CHECK(dir.tree().empty());
}

TEST_CASE("file_target: the target's directory is made with its parents") {
  TempDir dir;
  CHECK(FileTarget::open_root(dir / "a/b//c/").ok());
  CHECK(dir.tree() == Tree{"a", "a/b", "a/b/c"});
  CHECK(FileTarget::open_root(dir / "a/b").ok());
}

TEST_CASE("file_target: a regular file in the place of a directory, anywhere in the path") {
  TempDir dir;
  write_file(dir / "file", "precious");
  for (const char* path : {"file", "file/below", "file/below/deep"}) {
    Result<Fd> root = FileTarget::open_root(dir / path);
    CHECK(contains(text_of(root), dir / "file"));
    CHECK(contains(text_of(root), "Not a directory; the target must be a directory"));
  }
  CHECK(read_file(dir / "file") == "precious");
}

TEST_CASE("file_target: a regular file in the place of the dump's directory") {
  TempDir dir;
  write_file(dir / kName, "precious");
  CHECK(contains(create_error(dir), "Not a directory"));
  CHECK(read_file(dir / kName) == "precious");
}

TEST_CASE("file_target: a read-only file system is named, with what to do") {
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "size=64k");
  disk.make_read_only();
  CHECK(contains(create_error(dir), "Read-only file system; mount it read-write"));
  CHECK(contains(text_of(FileTarget::open_root(dir / "deeper")), "Read-only file system; "));
}

TEST_CASE("file_target: a full file system leaves nothing behind") {
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "size=64k");
  {
    FileTarget target = create(dir);
    Status reserved = target.preallocate(0, 1 << 20);
    REQUIRE_FALSE(reserved.ok());
    CHECK(reserved.error().kind() == ErrorKind::kNoSpace);
    CHECK(contains(text_of(reserved), "free some space there or name another target"));
    std::vector<std::byte> much(1 << 20);
    CHECK(target.write_at(0, much).error().kind() == ErrorKind::kNoSpace);
  }
  CHECK(dir.tree().empty());
}

TEST_CASE("file_target: no room for the staged file leaves no empty directory behind") {
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "nr_inodes=2");  // the root and one more
  CHECK(contains(create_error(dir), "No space left on device; free some space"));
  CHECK(dir.tree().empty());
}
