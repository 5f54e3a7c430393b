#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "initrd-hooks/standalone/device.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

// A sysfs and a dev folder of its own, with image files as devices.
class FakeDevices {
 public:
  FakeDevices() {
    char path[] = "/tmp/dumpwright-devices-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    root_ = path;
    places.sysfs_block = root_ + "/sys";
    places.dev = root_ + "/dev";
    std::filesystem::create_directories(places.sysfs_block);
    std::filesystem::create_directories(places.dev);
  }
  ~FakeDevices() { std::filesystem::remove_all(root_); }
  FakeDevices(const FakeDevices&) = delete;
  FakeDevices& operator=(const FakeDevices&) = delete;

  void add(const std::string& name, const std::string& content, const char* size = "2048\n") {
    std::filesystem::create_directories(places.sysfs_block + "/" + name);
    std::ofstream(places.sysfs_block + "/" + name + "/size") << size;
    std::ofstream(places.dev + "/" + name) << content;
  }

  // As in the real sysfs: the partitions' folders lie in the disk's, and links lead there.
  void make_partitions(const std::string& disk, const std::vector<std::string>& names) {
    std::string folder = places.sysfs_block + "/" + disk;
    std::filesystem::create_directories(folder + "/queue");
    std::ofstream(folder + "/queue/logical_block_size") << "512\n";
    for (size_t i = 0; i < names.size(); i++) {
      std::filesystem::rename(places.sysfs_block + "/" + names[i], folder + "/" + names[i]);
      std::ofstream(folder + "/" + names[i] + "/partition") << i + 1 << "\n";
      std::filesystem::create_symlink(folder + "/" + names[i], places.sysfs_block + "/" + names[i]);
    }
  }

  // On a busy machine even these files take their time.
  DevicePlaces places{.patience_ms = 60 * 1000};

 private:
  std::string root_;
};

std::string ext_image(char uuid_byte, const std::string& label) {
  std::string image(4096, '\0');
  image[1024] = 1;
  image[1080] = '\x53';
  image[1081] = '\xEF';
  image.replace(1128, 16, 16, uuid_byte);
  image.replace(1144, label.size(), label);
  return image;
}

DeviceTarget target_of(const char* text) {
  auto target = parse_device_target(text);
  REQUIRE(target.ok());
  return *target;
}

const Log& quiet() {
  static const Log log(-1);
  return log;
}

constexpr char kByUuid[] = "dev:UUID=41414141-4141-4141-4141-414141414141:/crash";

}  // namespace

TEST_CASE("device target: every form") {
  CHECK(is_device_target("dev:x"));
  CHECK_FALSE(is_device_target("/dev/vda"));
  DeviceTarget path = target_of("dev:/dev/vda1:/var/crash");
  CHECK(path.by == DeviceTarget::By::kPath);
  CHECK(path.name == "/dev/vda1");
  CHECK(path.directory == "/var/crash");
  DeviceTarget uuid = target_of("dev:UUID=ab-cd:/");
  CHECK(uuid.by == DeviceTarget::By::kUuid);
  CHECK(uuid.name == "ab-cd");
  CHECK(uuid.directory == "/");
  CHECK(target_of("dev:LABEL=a b:/c").name == "a b");
  CHECK(target_of("dev:/dev/disk/by-uuid/ab-cd:/c").by == DeviceTarget::By::kUuid);
  CHECK(target_of("dev:/dev/disk/by-label/x:/c").name == "x");
  CHECK(target_of("dev:/dev/disk/by-path/pci-0000:00:1f.2-ata-1:/c").directory == "/c");
}

TEST_CASE("device target: bad forms are refused") {
  for (const char* text :
       {"/dev/vda:/x", "dev:", "dev:/dev/vda", "dev:/dev/vda:", "dev:/dev/vda:x", "dev:UUID=:/x",
        "dev:vda:/x", "dev::/x", "dev:/dev/vda:/..", "dev:/dev/vda:/a/../b", "dev:/dev/../x:/a"}) {
    CAPTURE(text);
    auto target = parse_device_target(text);
    REQUIRE_FALSE(target.ok());
    CHECK(target.error().kind() == ErrorKind::kUsage);
  }
}

TEST_CASE("device: found by UUID in either case, by label, by path") {
  FakeDevices fake;
  fake.add("vda", std::string(4096, 'x'));
  fake.add("vdb", ext_image('B', "other"));
  fake.add("vdc", ext_image('A', "mine"));
  for (const char* text : {kByUuid, "dev:LABEL=mine:/crash"}) {
    auto found = wait_for_device(target_of(text), fake.places, 0, quiet());
    REQUIRE(found.ok());
    CHECK(found->path == fake.places.dev + "/vdc");
  }
  FakeDevices letters;
  letters.add("vda", ext_image('\xAB', ""));
  DeviceTarget upper = target_of("dev:UUID=ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB:/");
  CHECK(wait_for_device(upper, letters.places, 0, quiet()).ok());
  DeviceTarget by_path{DeviceTarget::By::kPath, fake.places.dev + "/vdb", "/"};
  CHECK(wait_for_device(by_path, fake.places, 0, quiet())->file_system.label == "other");
}

TEST_CASE("device: found by the UUID of its partition") {
  FakeDevices fake;
  std::string disk(8192, '\0');
  disk.replace(440, 4, "\x21\x7c\x3b\x5a");
  disk.replace(510, 2, "\x55\xAA");
  fake.add("vda", disk);
  for (const char* name : {"vda1", "vda2"}) fake.add(name, ext_image('A', ""));
  fake.make_partitions("vda", {"vda1", "vda2"});
  DeviceTarget target = target_of("dev:PARTUUID=5A3B7C21-02:/crash");
  auto found = wait_for_device(target, fake.places, 0, quiet());
  REQUIRE(found.ok());
  CHECK(found->path == fake.places.dev + "/vda2");
  target.name = "5a3b7c21-03";
  CHECK_FALSE(wait_for_device(target, fake.places, 0, quiet()).ok());
}

TEST_CASE("device: a bare partition is found by its UUID, whatever is on it") {
  FakeDevices fake;
  std::string disk(8192, '\0');
  disk.replace(440, 4, "\x21\x7c\x3b\x5a");
  disk.replace(510, 2, "\x55\xAA");
  fake.add("vda", std::string(8192, 'x'));
  fake.add("vdb", disk);
  for (const char* name : {"vdb1", "vdb2"}) fake.add(name, std::string(4096, 'x'));
  fake.make_partitions("vdb", {"vdb1", "vdb2"});
  auto found = wait_for_partition("5a3b7c21-02", fake.places, 0, quiet());
  REQUIRE(found.ok());
  CHECK(*found == fake.places.dev + "/vdb2");
  CHECK(wait_for_partition("5a3b7c21-03", fake.places, 0, quiet()).error().kind() ==
        ErrorKind::kTimeout);
}

TEST_CASE("device: a disk that hangs keeps no other from being found") {
  FakeDevices fake;
  for (const char* name : {"sda", "sdb", "sdc"}) fake.add(name, ext_image('A', "mine"));
  std::filesystem::remove(fake.places.dev + "/sdb");  // cannot be read
  fake.places.patience_ms = 100;
  fake.places.open = [](const char* path) -> Result<Fd> {
    if (std::string_view(path).ends_with("/sda"))
      for (;;) ::pause();
    return open_device(path);
  };
  auto found = wait_for_device(target_of(kByUuid), fake.places, 20 * 1000, quiet());
  REQUIRE(found.ok());
  CHECK(found->path == fake.places.dev + "/sdc");
}

TEST_CASE("device: if it is not found, what is there is told, also beside a disk that is slow") {
  static std::string log_path;
  FakeDevices fake;
  for (const char* name : {"sda", "sdb"}) fake.add(name, ext_image('B', "other"));
  test::TempDir folder;
  log_path = folder / "log";
  Fd file = std::move(*open_file(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  Log log(file.get());
  auto said = [](const char* what) {
    return test::read_file(log_path).find(what) != std::string::npos;
  };
  SUBCASE("it answers in the end") {
    fake.places.open = [](const char* path) -> Result<Fd> {
      if (std::string_view(path).ends_with("/sda"))
        while (test::read_file(log_path).find("sdb: ext2/3/4") == std::string::npos) ::usleep(1000);
      return open_device(path);
    };
    DeviceTarget by_path{DeviceTarget::By::kPath, fake.places.dev + "/sdc", "/"};
    CHECK_FALSE(wait_for_device(by_path, fake.places, 0, log).ok());
    CHECK(said("sda: ext2/3/4"));
    CHECK_FALSE(said("answer"));
  }
  SUBCASE("it never does") {
    fake.places.patience_ms = 100;
    fake.places.open = [](const char* path) -> Result<Fd> {
      if (std::string_view(path).ends_with("/sda"))
        for (;;) ::pause();
      return open_device(path);
    };
    for (const char* target : {kByUuid, "dev:/dev/no-such-device:/x"}) {
      test::write_file(log_path, "");
      CHECK_FALSE(wait_for_device(target_of(target), fake.places, 0, log).ok());
      CHECK(said("sda: has not answered in 100 ms"));
    }
  }
}

TEST_CASE("device: of several that match, the first in the order of names is taken") {
  FakeDevices fake;
  for (const char* name : {"dm-0", "sda", "sdb"}) fake.add(name, ext_image('A', "mine"));
  fake.places.open = [](const char* path) -> Result<Fd> {
    if (std::string_view(path).ends_with("/dm-0")) ::usleep(50 * 1000);
    return open_device(path);
  };
  for (int i = 0; i < 3; i++) {
    auto found = wait_for_device(target_of(kByUuid), fake.places, 0, quiet());
    REQUIRE(found.ok());
    CHECK(found->path == fake.places.dev + "/dm-0");
  }
}

TEST_CASE("device: an empty label matches no device without a label") {
  FakeDevices fake;
  fake.add("vda", ext_image('A', ""));
  CHECK_FALSE(parse_device_target("dev:LABEL=:/x").ok());
}

TEST_CASE("device: one that is not there ends in a timeout") {
  FakeDevices fake;
  fake.add("vdb", ext_image('B', ""));
  fake.add("vdc", ext_image('A', ""), "0\n");  // no medium
  fake.add("sr0", ext_image('A', ""));
  for (const char* text : {kByUuid, "dev:/dev/no-such-device:/x"}) {
    auto found = wait_for_device(target_of(text), fake.places, 2 * kDevicePollMs, quiet());
    REQUIRE_FALSE(found.ok());
    CHECK(found.error().kind() == ErrorKind::kTimeout);
  }
}

TEST_CASE("device: one that appears later is found") {
  FakeDevices fake;
  fake.add("vda", ext_image('B', ""));
  std::string late = fake.places.dev + "/vdb";
  if (pid_t child = ::fork(); child == 0) {
    ::usleep(300 * 1000);
    std::ofstream(late) << ext_image('A', "");
    std::filesystem::create_directories(fake.places.sysfs_block + "/vdb");
    std::ofstream(fake.places.sysfs_block + "/vdb/size") << "8\n";
    ::_exit(0);
  }
  auto found = wait_for_device(target_of(kByUuid), fake.places, 20 * 1000, quiet());
  REQUIRE(found.ok());
  CHECK(found->path == late);
}

TEST_CASE("device: a path with something else on it is an error at once") {
  FakeDevices fake;
  fake.add("vda", std::string(4096, 'x'));
  DeviceTarget by_path{DeviceTarget::By::kPath, fake.places.dev + "/vda", "/"};
  auto found = wait_for_device(by_path, fake.places, kDeviceWaitLimitMs, quiet());
  REQUIRE_FALSE(found.ok());
  CHECK(found.error().kind() == ErrorKind::kUnsupported);
}

TEST_CASE("device: a path that must be a block device") {
  test::TempDir folder;
  test::write_file(folder / "sda", "a file");
  for (const std::string& path : {folder / "sda", folder / "none", std::string("/dev/null")}) {
    Status status = wait_for_block_device(path, 0, quiet());
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kTimeout);
    CHECK(status.error().subject() == path);
  }
}
