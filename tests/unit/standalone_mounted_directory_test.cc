#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "initrd-hooks/standalone/mounted_directory.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

constexpr char kUuid[] = "dev:UUID=41414141-4141-4141-4141-414141414141:";

// A machine whose root lies on something unknown, and a folder of it on /dev/vda1.
class FakeMachine {
 public:
  FakeMachine() {
    std::string image(4096, '\0');
    image[1024] = 1;
    image[1080] = '\x53';
    image[1081] = '\xEF';
    image.replace(1128, 16, 16, 'A');
    for (const char* name : {"dev/mapper", "sys/vda1", "sys/mapper!lv", "sys/dev", "data/a b"})
      std::filesystem::create_directories(folder_ / name);
    test::write_file(folder_ / "dev/vda1", image);
    test::write_file(folder_ / "dev/mapper/lv", image);
    std::filesystem::create_symlink(folder_ / "sys/vda1", folder_ / "sys/dev/254:1");
    std::filesystem::create_symlink(folder_ / "sys/mapper!lv", folder_ / "sys/dev/253:0");
    mount("1 1 0:20 / / rw - overlay overlay rw");
    mount("30 1 254:1 / " + data() + " rw,relatime shared:1 master:2 - ext4 /dev/root rw");
  }

  void mount(const std::string& line) {
    mountinfo_ += line + "\n";
    test::write_file(folder_ / "mountinfo", mountinfo_);
  }
  void write_fstab(const std::string& text) const { test::write_file(folder_ / "fstab", text); }
  // As in the real world, no link leads there.
  [[nodiscard]] std::string data() const {
    return std::filesystem::canonical(folder_ / "data").string();
  }
  [[nodiscard]] Result<std::string> resolve(const std::string& directory) const {
    return device_target_of(directory, {.mountinfo = folder_ / "mountinfo",
                                        .fstab = folder_ / "fstab",
                                        .sys_dev_block = folder_ / "sys/dev",
                                        .dev = folder_ / "dev"});
  }
  void resolves(const std::string& directory, const std::string& to) const {
    auto target = resolve(directory);
    REQUIRE(target.ok());
    CHECK(*target == kUuid + to);
  }
  void refused(const std::string& directory, const char* says) const {
    auto target = resolve(directory);
    REQUIRE_FALSE(target.ok());
    char text[600];
    target.error().format(text, sizeof(text));
    CHECK_MESSAGE(std::string(text).find(says) != std::string::npos, text);
  }

 private:
  test::TempDir folder_;
  std::string mountinfo_;
};

}  // namespace

TEST_CASE("mounted directory: its device's UUID, and its path there") {
  FakeMachine machine;
  std::string data = machine.data();
  machine.resolves(data, "/");
  machine.resolves(data + "/a b", "/a b");
  machine.resolves(data + "/", "/");
  // What does not exist will be made.
  machine.resolves(data + "/new/crash", "/new/crash");
  std::filesystem::create_symlink(data + "/a b", data + "/link");
  machine.resolves(data + "/link/crash", "/a b/crash");
}

TEST_CASE("mounted directory: what is mounted below counts, and where it lies in its file system") {
  FakeMachine machine;
  std::string data = machine.data();
  std::filesystem::create_directories(data + "/bound");
  // A name that only begins in the same way.
  std::filesystem::create_directories(data + "/boundary");
  machine.mount("31 30 253:0 /srv/a\\040b " + data + "/bound rw - xfs /dev/mapper/lv rw");
  machine.mount("32 30 253:0 / " + data + "/a\\040b rw - ext4 /dev/mapper/lv rw");
  machine.resolves(data + "/bound/crash", "/srv/a b/crash");
  machine.resolves(data + "/bound", "/srv/a b");
  machine.resolves(data + "/boundary", "/boundary");
  machine.resolves(data + "/a b/c", "/c");
  // A later one hides it.
  machine.mount("33 30 0:40 / " + data + "/bound rw - tmpfs tmpfs rw");
  machine.refused(data + "/bound/crash", "(tmpfs): lies on a file system that the initrd");
}

TEST_CASE("mounted directory: what is to be mounted above it and is not, is refused") {
  FakeMachine machine;
  std::string data = machine.data();
  machine.write_fstab("# " + data + "/a\n\nUUID=1 / ext4\n/swap none swap sw 0 0\nbroken\nx " +
                      data + " ext4 defaults\n  UUID=2\t" + data +
                      "/new/ \t xfs nofail 0 2\n/dev/x " + data + "/a\\040b ext4 noauto\nhost:/x " +
                      data + "/newer nfs\n");
  machine.resolves(data + "/crash", "/crash");
  machine.resolves(data + "/newest", "/newest");
  const std::string says =
      "/new): lies on a file system that is not mounted now; mount it, or name";
  machine.refused(data + "/new/crash", (data + "/new/crash (" + data + says).c_str());
  machine.refused(data + "/new", "is not mounted now");
  machine.refused(data + "/a b/c", "/a b): lies on a file system that is not mounted now");
  machine.refused(data + "/newer/x", "is not mounted now");
  std::filesystem::create_directories(data + "/new/below");
  machine.mount("31 30 253:0 / " + data + "/new/below rw - xfs /dev/mapper/lv rw");
  // It is seen, whatever would hide it.
  machine.resolves(data + "/new/below/crash", "/crash");
  machine.refused(data + "/new/crash", "is not mounted now");
  machine.mount("32 30 253:0 / " + data + "/new rw - xfs /dev/mapper/lv rw");
  machine.resolves(data + "/new/crash", "/crash");
}

TEST_CASE("mounted directory: a mount point of fstab that is a link, or has one above it") {
  FakeMachine machine;
  std::string data = machine.data();
  std::filesystem::create_directories(data + "/real");
  std::filesystem::create_symlink(data + "/real", data + "/link");
  machine.write_fstab("/dev/x " + data + "/link ext4\n");
  machine.refused(data + "/link/crash", "is not mounted now");
  machine.mount("31 30 253:0 / " + data + "/real rw - xfs /dev/mapper/lv rw");
  machine.resolves(data + "/link/crash", "/crash");
  machine.resolves(data + "/real/crash", "/crash");
}

TEST_CASE("mounted directory: what is mounted at its first use is refused before that") {
  FakeMachine machine;
  std::string data = machine.data();
  std::filesystem::create_directories(data + "/auto");
  machine.mount("31 30 0:40 / " + data + "/auto rw - autofs systemd-1 rw");
  machine.refused(data + "/auto/crash", "/auto): lies on a file system that is not mounted now");
  machine.mount("32 31 253:0 / " + data + "/auto rw - xfs /dev/mapper/lv rw");
  machine.resolves(data + "/auto/crash", "/crash");
}

TEST_CASE("mounted directory: what cannot be told or mounted is refused") {
  FakeMachine machine;
  std::string data = machine.data();
  machine.refused("/", "/ (overlay): lies on a file system that the initrd does not mount");
  machine.refused("relative", "absolute path");
  machine.refused(data + "/../x", "without '..'");
  test::write_file(data + "/file", "");
  machine.refused(data + "/file/x", "Not a directory");
  std::filesystem::create_directories(data + "/other");
  // A subvolume has no device of its own.
  machine.mount("34 30 0:50 /@crash " + data + "/other rw - btrfs /dev/vdb rw");
  machine.refused(data + "/other", "(btrfs): lies on");
  machine.mount("35 30 8:77 / " + data + "/other rw - ext4 /dev/sdz rw");
  machine.refused(data + "/other", "cannot find the device");
  machine.mount("broken");
  machine.mount("36 30 254:1 / " + data + "/other rw");
  machine.refused(data + "/other", "cannot find the device");
}
