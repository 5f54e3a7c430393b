// Bytes that are appended to a file target: past the page cache, through it, and on disks that are
// full or cannot reserve space.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capture/target/file_target.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using namespace dw::test;

namespace {

FileTarget create(const TempDir& dir) {
  Fd root = std::move(FileTarget::open_root(dir.path()).value());
  return std::move(FileTarget::create(root.get(), "host-1", dir / "host-1").value());
}

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> numbered_bytes(size_t size, uint32_t seed) {
  std::vector<std::byte> content(size);
  for (std::byte& byte : content) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<std::byte>(seed >> 24);
  }
  return content;
}

// Appends in pieces of odd sizes, with a sync now and then, and other writes in front of them.
void append_and_compare(const TempDir& dir, uint64_t begin) {
  FileTarget target = create(dir);
  if (begin > 0) REQUIRE(target.preallocate(0, begin).ok());
  std::vector<std::byte> expected = numbered_bytes(begin, 7);
  REQUIRE(target.write_at(0, expected).ok());
  uint64_t end = begin;
  for (uint32_t i = 0; i < 60; ++i) {
    std::vector<std::byte> piece = numbered_bytes(1 + i * 7919 % 300000, i);
    REQUIRE(target.append(end, piece).ok());
    expected.insert(expected.end(), piece.begin(), piece.end());
    end += piece.size();
    if (i % 7 == 0) REQUIRE(target.sync().ok());
    if (i % 9 == 0 && begin >= 4096) {
      expected[i] = std::byte{0};
      REQUIRE(target.write_at(i, std::span(expected).subspan(i, 1)).ok());
    }
  }
  REQUIRE(target.sync().ok());
  std::vector<std::byte> read(end);
  REQUIRE(target.read_at(0, read).ok());
  CHECK((read == expected));
  REQUIRE(target.publish().ok());
  REQUIRE(target.seal().ok());
  struct stat status {};
  REQUIRE(::stat((dir / "host-1/vmcore").c_str(), &status) == 0);
  CHECK(static_cast<uint64_t>(status.st_size) == end);
  // Nothing stays reserved behind the end.
  CHECK(static_cast<uint64_t>(status.st_blocks) * 512 < end + (1 << 20));
}

}  // namespace

TEST_CASE("file_target: appended bytes of any size come back, past the page cache or through it") {
  for (uint64_t begin : {uint64_t{0}, uint64_t{4096}, uint64_t{1000}, uint64_t{1} << 20}) {
    CAPTURE(begin);
    TempDir dir;
    append_and_compare(dir, begin);
  }
  if (!may_mount()) return;
  TempDir dir;
  SmallDisk disk(dir.path(), "size=64m");
  append_and_compare(dir, 4096);
}

TEST_CASE("file_target: what is written over appended bytes stays, short as the file may be") {
  for (size_t size : {700U, 4096U, 9000U}) {
    TempDir dir;  // on a disk
    FileTarget target = create(dir);
    std::string text(size, 'a');
    REQUIRE(target.append(0, bytes(text)).ok());
    REQUIRE(target.sync().ok());
    REQUIRE(target.write_at(100, bytes("patched")).ok());
    REQUIRE(target.write_at(size - 4, bytes("tail")).ok());
    REQUIRE(target.sync().ok());
    REQUIRE(target.append(size, bytes("more")).ok());
    REQUIRE(target.sync().ok());
    REQUIRE(target.publish().ok());
    text.replace(100, 7, "patched").replace(size - 4, 4, "tail").append("more");
    CHECK((read_file(dir / "host-1/vmcore.incomplete") == text));
  }
}

TEST_CASE("file_target: a file system that cannot reserve space gets zeros") {
  if (!may_mount()) return;
  TempDir dir;
  TempDir image_dir;
  std::string image = image_dir / "image";
  std::string command = "fallocate -l 40M " + image + " && mke2fs -q -t ext2 " + image +
                        " && mount -o loop " + image + " " + dir.path();
  REQUIRE(::system(command.c_str()) == 0);
  append_and_compare(dir, 3 * 4096);
  {
    Fd root = std::move(FileTarget::open_root(dir.path()).value());
    FileTarget target = std::move(FileTarget::create(root.get(), "host-2", dir / "host-2").value());
    constexpr uint64_t kBegin = 4096 + 24;
    constexpr uint64_t kLength = (9 << 20) + 17;
    REQUIRE(target.preallocate(kBegin, kLength).ok());
    std::vector<std::byte> read(kBegin + kLength, std::byte{1});
    REQUIRE(target.read_at(0, read).ok());
    CHECK(std::ranges::all_of(read, [](std::byte byte) { return byte == std::byte{0}; }));
    CHECK(target.preallocate(kBegin, 80 << 20).error().kind() == ErrorKind::kNoSpace);
    REQUIRE(target.publish().ok());
    struct stat status {};
    REQUIRE(::stat((dir / "host-2/vmcore.incomplete").c_str(), &status) == 0);
    CHECK(static_cast<uint64_t>(status.st_blocks) * 512 >= kLength);  // they are no hole
  }
  CHECK(::system(("umount " + dir.path()).c_str()) == 0);
}

TEST_CASE("file_target: a disk that gets full while bytes are appended keeps what it took") {
  if (!may_mount()) return;
  TempDir dir;
  TempDir image_dir;
  std::string image = image_dir / "image";
  std::string command = "fallocate -l 24M " + image + " && mke2fs -q -t ext4 " + image +
                        " && mount -o loop " + image + " " + dir.path();
  REQUIRE(::system(command.c_str()) == 0);
  {
    FileTarget target = create(dir);
    std::vector<std::byte> taken;
    Status status;
    for (uint32_t i = 0; status.ok() && i < 1000; ++i) {
      std::vector<std::byte> piece = numbered_bytes(100000, i);
      status = target.append(taken.size(), piece);
      if (status.ok()) taken.insert(taken.end(), piece.begin(), piece.end());
    }
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kNoSpace);
    CHECK(taken.size() > 10 << 20);
    CHECK(target.sync().ok());
    std::vector<std::byte> read(taken.size());
    REQUIRE(target.read_at(0, read).ok());
    CHECK((read == taken));
  }
  CHECK(::system(("umount " + dir.path()).c_str()) == 0);
}
