#include "capture/target/raw/raw_store.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "capture/target/raw/device_content.h"
#include "capture/target/raw/raw_contents.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr uint64_t kDiskBytes = 4 << 20;

Bytes bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// A file in the place of a partition, full of what was there before.
struct Disk {
  TempDir dir;
  std::string path = dir / "disk";

  explicit Disk(uint64_t size = kDiskBytes) { write_file(path, std::string(size, '\xA5')); }

  [[nodiscard]] Result<std::unique_ptr<RawStore>> try_open(bool overwrite = false) const {
    return RawStore::open(path, {.force = true, .overwrite = overwrite});
  }
  [[nodiscard]] std::unique_ptr<RawStore> open(bool overwrite = false) const {
    return std::move(try_open(overwrite).value());
  }
  [[nodiscard]] RawContents contents() const { return std::move(RawContents::open(path).value()); }
};

std::string text_in(const ReadableFile& file) {
  std::string text(file_size(file.get()).value(), '\0');
  REQUIRE(read_exact_at(file.get(), std::as_writable_bytes(std::span(text)), 0).ok());
  return text;
}

std::string text_in(const RawContents& contents, const std::string& file) {
  Result<ReadableFile> part = contents.open_file(file);
  return part.ok() ? text_in(*part) : "none";
}

enum class Until : uint8_t { kStaged, kPublished, kSealed };

Status save(RawStore& store, const std::string& name, Until until = Until::kSealed,
            std::string_view content = "dump") {
  DW_ASSIGN(std::unique_ptr<Target> target, store.create(name, "vmcore"));
  DW_TRY(target->append(0, bytes(content)));
  DW_TRY(target->append_sums(bytes("sums of " + name)));
  DW_TRY(target->sync());
  if (until == Until::kStaged) return {};
  DW_TRY(target->publish());
  return until == Until::kSealed ? target->seal() : Status();
}

Status save(const Disk& disk, const std::string& name, Until until, bool overwrite = false) {
  std::unique_ptr<RawStore> store = disk.open(overwrite);
  return save(*store, name, until);
}

}  // namespace

TEST_CASE("raw store: a dump is known by its name, by nothing else") {
  Disk disk;
  REQUIRE(save(disk, "a-1", Until::kPublished).ok());
  {
    std::unique_ptr<RawStore> store = disk.open();
    CHECK(store->look("a-1").value().standing == Standing::kIncomplete);
    CHECK(store->look("a-1").value().file == "vmcore.incomplete");
    CHECK(store->look("a-1-2").value().standing == Standing::kNothing);
    CHECK(store->open_file("a-1", "vmcore.sums").ok());
    CHECK(store->open_file("a-1", "vmcore").error().errno_value() == ENOENT);
    CHECK(store->open_file("b-1", "vmcore.sums").error().errno_value() == ENOENT);
    CHECK_FALSE(store->reopen("b-1", "vmcore").ok());
    CHECK_FALSE(store->reopen("a-1", "vmcore.zst").ok());
    CHECK_FALSE(store->seal_finished("a-1", "vmcore.zst.incomplete").ok());
    CHECK_FALSE(store->create("a-1", "vmcore").ok());
    REQUIRE(store->seal_finished("a-1", "vmcore.incomplete").ok());
    CHECK(store->look("a-1").value().standing == Standing::kSealed);
    CHECK_FALSE(store->reopen("a-1", "vmcore").ok());
  }
  CHECK(disk.contents().dump_name() == "vmcore");
  CHECK(text_in(disk.contents(), "vmcore") == "dump");
  CHECK(text_in(disk.contents(), "vmcore.sums") == "sums of a-1");
}

TEST_CASE("raw store: a whole dump that nobody took off stays, every other is overwritten") {
  Disk disk;
  CHECK(disk.open()->overwritten().empty());
  for (Until until : {Until::kStaged, Until::kPublished}) {
    REQUIRE(save(disk, "a-1", until).ok());
    std::string part = disk.path + ":a-1/vmcore.incomplete";
    CHECK(disk.open()->overwritten() == (until == Until::kStaged ? "" : part));
    REQUIRE(save(disk, "b-1", until).ok());
    CHECK(disk.contents().superblock().name == "b-1");
  }
  REQUIRE(save(disk, "c-1", Until::kSealed).ok());
  std::string before = read_file(disk.path);
  Status refused = save(disk, "d-1", Until::kSealed);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().errno_value() == EEXIST);
  CHECK(contains(text_of(refused), disk.path + ":c-1: holds a whole dump that was not taken off"));
  CHECK(contains(text_of(refused), "; take it off with dumpwright convert, or add ?overwrite=yes"));
  CHECK(read_file(disk.path) == before);
  CHECK(disk.open()->overwritten().empty());
  CHECK(disk.open(true)->overwritten() == disk.path + ":c-1/vmcore");

  REQUIRE(save(disk, "d-1", Until::kSealed, true).ok());
  CHECK(disk.contents().superblock().name == "d-1");
  RawContents there = disk.contents();
  REQUIRE(there.mark_taken_off().ok());
  CHECK(text_in(disk.contents(), "vmcore.sums") == "sums of d-1");
  CHECK_FALSE(there.mark_taken_off().ok());  // it is no longer what was read
  REQUIRE(save(disk, "e-1", Until::kSealed).ok());
  CHECK_FALSE(disk.contents().superblock().taken_off);
}

TEST_CASE("raw store: files beside a dump are replaced, and stay as they are for one to come") {
  Disk disk;
  std::unique_ptr<RawStore> store = disk.open();
  REQUIRE(store->put_file("a-1", "vmcore-dmesg.txt", bytes("the log")).ok());
  CHECK(store->look("a-1").value().standing == Standing::kNothing);
  CHECK(disk.contents().dump_name().empty());
  CHECK(text_in(disk.contents(), "vmcore-dmesg.txt") == "the log");
  {
    auto target = std::move(store->create("a-1", "vmcore").value());
    REQUIRE(target->reserve_file("vmcore.json", 9000).ok());
    REQUIRE(target->append(0, bytes("dump")).ok());
    REQUIRE(target->sync().ok());
    REQUIRE(target->publish().ok());
    for (size_t size : {1U, 9000U, 0U, 4096U, 20000U, 8999U, 50000U}) {
      std::string report(size, static_cast<char>('a' + size % 26));
      REQUIRE(target->put_file("vmcore.json", bytes(report)).ok());
      CHECK(text_in(disk.contents(), "vmcore.json") == report);
      CHECK(text_in(disk.contents(), "vmcore-dmesg.txt") == "the log");
    }
    std::string large(1 << 20, 'x');
    CHECK(target->put_file("vmcore.json", bytes(large)).error().kind() == ErrorKind::kNoSpace);
    CHECK(target->reserve_file("other", size_t{1} << 40).error().kind() == ErrorKind::kNoSpace);
    REQUIRE(target->put_file("three", bytes("3")).ok());
    REQUIRE(target->put_file("four", bytes("4")).ok());
    CHECK(target->put_file("five", bytes("5")).error().kind() == ErrorKind::kNoSpace);
    std::string name(kRawMaxFileName + 1, 'n');
    CHECK_FALSE(target->put_file(name.c_str(), bytes("n")).ok());
  }
  CHECK(text_in(disk.contents(), "vmcore.incomplete") == "dump");
  // Part of a dump is worth more than the log of another crash.
  CHECK(store->put_file("b-1", "vmcore-dmesg.txt", bytes("x")).error().errno_value() == EEXIST);
  // Another crash's folder begins empty.
  REQUIRE(store->create("c-1", "vmcore").ok());
  CHECK(text_in(disk.contents(), "vmcore-dmesg.txt") == "none");
}

TEST_CASE("raw store: a damaged small file is told") {
  Disk disk;
  REQUIRE(disk.open()->put_file("a-1", "log", bytes("the log")).ok());
  std::string content = read_file(disk.path);
  content[content.find("the log")] = 'T';
  write_file(disk.path, content);
  Result<ReadableFile> log = disk.contents().open_file("log");
  REQUIRE_FALSE(log.ok());
  CHECK(log.error().kind() == ErrorKind::kBadInput);
}

TEST_CASE("raw store: full where dump and list meet, and all that had its place is there") {
  Disk disk;
  std::unique_ptr<RawStore> store = disk.open();
  std::string dump(3 << 20, 'd');
  auto target = std::move(store->create("a-1", "vmcore").value());
  REQUIRE(target->preallocate_sums(100000).ok());
  REQUIRE(target->append(0, bytes(dump)).ok());
  uint64_t free = target->free_bytes().value();
  CHECK(free < (1 << 20));
  std::string rest(free, 'r');
  for (Status full :
       {target->preallocate_sums(1 << 20), target->append(dump.size(), bytes(rest + "x")),
        target->preallocate(UINT64_MAX - 5, 10), target->truncate(5 << 20),
        target->write_at(dump.size() + free, bytes("x"))}) {
    REQUIRE_FALSE(full.ok());
    CHECK(full.error().kind() == ErrorKind::kNoSpace);
    CHECK(contains(text_of(full), "; use a larger partition, or a higher dump level"));
  }
  REQUIRE(target->append(dump.size(), bytes(rest)).ok());
  CHECK(target->free_bytes().value() == 0);
  std::string sums(100000, 's');
  REQUIRE(target->append_sums(bytes(sums)).ok());
  REQUIRE(target->sync().ok());
  REQUIRE(target->publish().ok());
  REQUIRE(target->seal().ok());
  CHECK(text_in(disk.contents(), "vmcore") == dump + rest);
  CHECK(text_in(disk.contents(), "vmcore.sums") == sums);
}

TEST_CASE("raw store: the list outgrows its room again and again") {
  Disk disk;
  std::string sums;
  for (int round = 0; round < 3; ++round) {
    std::unique_ptr<RawStore> store = disk.open();
    auto opened = round == 0 ? store->create("a-1", "vmcore") : store->reopen("a-1", "vmcore");
    auto target = std::move(opened.value());
    CHECK(target->sums_size().value() == sums.size());
    for (int i = 0; i < 30; ++i) {
      std::string more(5000, static_cast<char>('a' + i % 26));
      REQUIRE(target->append_sums(bytes(more)).ok());
      sums += more;
      if (i % 7 == 0) REQUIRE(target->sync().ok());
    }
    std::string back(sums.size(), '\0');
    REQUIRE(target->read_sums(0, std::as_writable_bytes(std::span(back))).ok());
    CHECK((back == sums));
    REQUIRE(target->sync().ok());
    if (round == 0) REQUIRE(target->publish().ok());
  }
  CHECK((text_in(disk.contents(), "vmcore.sums") == sums));
}

TEST_CASE("raw store: what is no partition, or too small, or in use is refused") {
  Disk disk;
  Result<std::unique_ptr<RawStore>> refused = RawStore::open(disk.path, {});
  REQUIRE_FALSE(refused.ok());
  CHECK(contains(text_of(refused), "is no block device; name a partition"));
  CHECK(RawStore::open(disk.dir.path(), {.force = true}).error().errno_value() == EISDIR);
  CHECK(RawStore::open("/dev/null", {.force = true}).error().kind() == ErrorKind::kUsage);
  CHECK(RawStore::open(disk.dir / "none", {}).error().errno_value() == ENOENT);
  std::unique_ptr<RawStore> store = disk.open();
  CHECK(contains(text_of(disk.try_open()), "cannot lock"));
  Disk little(500 << 10);
  CHECK(contains(text_of(little.try_open()), "is too small for a dump"));
  CHECK(RawContents::open(little.path).error().kind() == ErrorKind::kBadInput);
}

TEST_CASE("raw store: a copy that is not all of the partition is told") {
  Disk disk;
  REQUIRE(save(disk, "a-1", Until::kSealed).ok());
  REQUIRE(::truncate(disk.path.c_str(), 3 << 20) == 0);
  CHECK(contains(text_of(RawContents::open(disk.path)), "copy all of the partition"));
  // Not with force: that a dump is there can be seen, but not what of it.
  CHECK(disk.open()->look("a-1").value().standing == Standing::kNothing);
}

namespace {

using Make = std::vector<std::string>;

struct Content {
  const char* what;
  Make make;  // the device follows
};

const Content kContents[] = {
    {"an ext2, ext3 or ext4 file system", {"mke2fs", "-q", "-F", "-t", "ext4"}},
    {"an ext2, ext3 or ext4 file system", {"mke2fs", "-q", "-F", "-t", "ext2"}},
    {"an xfs file system", {"mkfs.xfs", "-q", "-f"}},
    {"a swap area", {"mkswap", "-q"}},
};

struct MagicAt {
  const char* what;
  size_t offset;
  std::string magic;
};

const MagicAt kMagicsAt[] = {
    {"an LVM physical volume", 512, "LABELONE"},
    {"an encrypted volume (LUKS)", 0, "LUKS\xBA\xBE"},
    {"a partition table or a boot sector", 510, "\x55\xAA"},
    {"a partition table (GPT)", 512, "EFI PART"},
    {"a btrfs file system", 0x10040, "_BHRfS_M"},
    {"belongs to a Ceph OSD", 0, "bluestore block device\n"},
    {"part of a ZFS pool", 0x1FFD8, "\x11\x7A\x0C\xB1\x7A\xDA\x10\x02"},
    {"part of a ZFS pool", 0x1FFD8, "\x02\x10\xDA\x7A\xB1\x0C\x7A\x11"},
    {"a member of a RAID", (2 << 20) - 512, "\xDE\x11\xDE\x11"},
};

// Refused without a byte written; with force it is gone, and a dump is there.
void check_refused(const LoopDevice& device, const std::string& what) {
  CAPTURE(what);
  std::string before = device.content();
  Result<std::unique_ptr<RawStore>> refused = RawStore::open(device.path(), {});
  REQUIRE_FALSE(refused.ok());
  CHECK(contains(text_of(refused), device.path() + ": "));
  CHECK(contains(text_of(refused), what));
  CHECK(contains(text_of(refused), "wipefs -a, or add ?force=yes"));
  CHECK((device.content() == before));
  {
    auto store = std::move(RawStore::open(device.path(), {.force = true}).value());
    REQUIRE(save(*store, "a-1").ok());
  }
  auto again = RawStore::open(device.path(), {});
  REQUIRE_MESSAGE(again.ok(), text_of(again));
  CHECK((*again)->look("a-1").value().standing == Standing::kSealed);
}

}  // namespace

TEST_CASE("raw store: a device that holds something else is refused, unless told") {
  if (!may_mount()) return;
  LoopDevice device(300 << 10);
  for (const Content& content : kContents) {
    Make make = content.make;
    make.push_back(device.path());
    must_run(make);
    check_refused(device, content.what);
  }
  LoopDevice small(2 << 10);
  for (const MagicAt& magic : kMagicsAt) {
    std::string content(2 << 20, '\0');
    content.replace(magic.offset, magic.magic.size(), magic.magic);
    small.set_content(content);
    check_refused(small, magic.what);
  }
  // What was put over a dump of ours since: the second superblock is still there.
  must_run({"mkswap", "-q", small.path()});
  CHECK(contains(text_of(RawStore::open(small.path(), {})), "holds a swap area"));
}

TEST_CASE("raw store: a device that is mounted, or another capture's, is refused in any case") {
  if (!may_mount()) return;
  LoopDevice device(8 << 10);
  must_run({"mke2fs", "-q", "-F", device.path()});
  TempDir folder;
  must_run({"mount", device.path(), folder.path()});
  Result<std::unique_ptr<RawStore>> refused = RawStore::open(device.path(), {.force = true});
  must_run({"umount", folder.path()});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().errno_value() == EBUSY);
  CHECK(contains(text_of(refused), "it is mounted"));
  auto store = std::move(RawStore::open(device.path(), {.force = true}).value());
  CHECK(RawStore::open(device.path(), {.force = true}).error().errno_value() == EBUSY);
}
