#include "capture/target/raw/raid_member.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "capture/base/fd.h"
#include "initrd-hooks/standalone/device.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

constexpr size_t kSize = 300 * 1024 + 512;
constexpr size_t kEnd090 = 4 * 64 * 1024 - 64 * 1024;
constexpr size_t kEnd10 = (kSize - 8 * 1024) / 4096 * 4096;

void put_md(std::string& image, size_t offset, uint32_t version) {
  MutableBytes bytes = std::as_writable_bytes(std::span(image));
  store<uint32_t>(bytes, offset, 0xa92b4efc);
  store<uint32_t>(bytes, offset + 4, version);
  if (version == 1) store<uint64_t>(bytes, offset + 128, offset / 512);
}

std::string image_with(size_t offset, uint32_t version, size_t size = kSize) {
  std::string image(size, '\0');
  put_md(image, offset, version);
  return image;
}

bool member(const std::string& image) {
  test::TempDir folder;
  test::write_file(folder / "image", image);
  auto file = open_file((folder / "image").c_str(), O_RDONLY);
  REQUIRE(file.ok());
  return is_raid_member(file->get());
}

std::string mirror_leg() {
  std::string image = image_with(kEnd10, 1);
  image[1024] = 1;
  image[1080] = '\x53';
  image[1081] = '\xEF';
  image.replace(1144, 4, "dump");
  return image;
}

}  // namespace

TEST_CASE("RAID member: every version of md, each at its place") {
  static_assert(kEnd090 == 196608 && kEnd10 % 4096 == 0);
  CHECK(member(image_with(kEnd090, 0)));
  CHECK(member(image_with(kEnd10, 1)));
  CHECK(member(image_with(0, 1)));
  CHECK(member(image_with(4096, 1)));
}

TEST_CASE("RAID member: what stands elsewhere, or is another's, is none") {
  CHECK_FALSE(member(std::string(kSize, '\0')));
  CHECK_FALSE(member(image_with(kEnd090, 1)));
  CHECK_FALSE(member(image_with(kEnd10, 0)));
  CHECK_FALSE(member(image_with(kEnd10 - 512, 1)));
  std::string copied = image_with(kEnd10, 1);
  store<uint64_t>(std::as_writable_bytes(std::span(copied)), kEnd10 + 128, 8);
  CHECK_FALSE(member(copied));
}

TEST_CASE("RAID member: of firmware, told by the last sectors, of 512 or 4096 bytes") {
  constexpr std::string_view kIntel = "Intel Raid ISM Cfg Sig. 1.3.00";
  for (size_t sector : {size_t{512}, size_t{4096}}) {
    std::string intel(kSize, '\0');
    intel.replace(kSize - 2 * sector, kIntel.size(), kIntel);
    CHECK_FALSE(member(intel));  // no volume
    intel[kSize - 2 * sector + 0x39] = 1;
    CHECK(member(intel));
    CHECK_FALSE(member(intel + std::string(512, '\0')));
    std::string ddf(kSize, '\0');
    ddf.replace(kSize - sector, 4, "\xDE\x11\xDE\x11");
    CHECK(member(ddf));
  }
}

TEST_CASE("RAID member: a disk with partitions is told by its end alone") {
  test::TempDir folder;
  auto end = [&](const std::string& image) {
    test::write_file(folder / "image", image);
    auto file = open_file((folder / "image").c_str(), O_RDONLY);
    REQUIRE(file.ok());
    return holds_raid_end(file->get());
  };
  CHECK(end(image_with(kEnd10, 1)));
  CHECK_FALSE(end(image_with(kEnd090, 0)));
  CHECK_FALSE(end(image_with(0, 1)));
  CHECK_FALSE(end(image_with(4096, 1)));
}

TEST_CASE("RAID member: the partition of a disk that is a member is refused") {
  test::TempDir folder;
  DevicePlaces places{.sysfs_block = folder / "sys", .dev = folder / "dev", .patience_ms = 60000};
  std::string disk = places.sysfs_block + "/sda";
  std::filesystem::create_directories(disk + "/sda1");
  std::filesystem::create_directories(places.dev);
  std::filesystem::create_symlink(disk + "/sda1", places.sysfs_block + "/sda1");
  for (const char* name : {"/size", "/sda1/size"}) test::write_file(disk + name, "600\n");
  test::write_file(disk + "/sda1/partition", "1\n");
  std::string partition = mirror_leg();
  partition.resize(kEnd10);
  test::write_file(places.dev + "/sda1", partition);
  auto by_label = parse_device_target("dev:LABEL=dump:/crash");
  REQUIRE(by_label.ok());
  DeviceTarget by_path{DeviceTarget::By::kPath, places.dev + "/sda1", "/"};
  for (bool raid : {false, true}) {
    std::string whole(kSize, '\0');
    if (raid) whole.replace(kSize - 512, 4, "\xDE\x11\xDE\x11");
    test::write_file(places.dev + "/sda", whole);
    for (const DeviceTarget& target : {*by_label, by_path}) {
      auto found = wait_for_device(target, places, 0, Log(-1));
      REQUIRE(found.ok() == !raid);
      if (raid) CHECK(found.error().kind() == ErrorKind::kUnsupported);
    }
  }
}

TEST_CASE("RAID member: devices of any small size") {
  for (size_t size : {size_t{0}, size_t{1}, size_t{135}, size_t{4096}, size_t{8191}, size_t{8192},
                      size_t{65535}, size_t{65536}})
    CHECK_FALSE(member(std::string(size, '\0')));
  CHECK(member(image_with(0, 0, 65536)));
}

TEST_CASE("RAID member: the leg of a mirror is refused at once, the mirror itself is taken") {
  test::TempDir folder;
  DevicePlaces places{.sysfs_block = folder / "sys", .dev = folder / "dev", .patience_ms = 60000};
  auto add = [&](const std::string& name, const std::string& image) {
    for (const std::string& path :
         {places.sysfs_block, places.dev, places.sysfs_block + "/" + name})
      ::mkdir(path.c_str(), 0700);
    test::write_file(places.sysfs_block + "/" + name + "/size", "600\n");
    test::write_file(places.dev + "/" + name, image);
  };
  add("hda", mirror_leg());
  auto by_label = parse_device_target("dev:LABEL=dump:/crash");
  REQUIRE(by_label.ok());
  DeviceTarget by_path{DeviceTarget::By::kPath, places.dev + "/hda", "/"};
  for (const DeviceTarget& target : {*by_label, by_path}) {
    auto found = wait_for_device(target, places, kDeviceWaitLimitMs, Log(-1));
    REQUIRE_FALSE(found.ok());
    CHECK(found.error().kind() == ErrorKind::kUnsupported);
    CHECK(found.error().subject() == places.dev + "/hda");
  }
  add("md0", mirror_leg().substr(0, kEnd10));
  auto found = wait_for_device(*by_label, places, 0, Log(-1));
  REQUIRE(found.ok());
  CHECK(found->path == places.dev + "/md0");
}
