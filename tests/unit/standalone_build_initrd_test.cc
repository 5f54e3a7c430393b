// The build script, run on a small kernel root of its own.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/support/kernel_root.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("build-initrd: modules in order with softdeps and options, firmware, configuration") {
  KernelRoot kernel;
  REQUIRE(kernel.build("1.0 --modules disk,first --config " + kernel.root + "/dumpwright.conf") ==
          0);
  std::string archive = read_file(kernel.root + "/out");
  auto entries = read_archive(archive);
  const Entry* list = find(entries, "lib/modules/modules.list");
  REQUIRE(list != nullptr);
  CHECK(list->content == "first.ko\nbus.ko\ndisk.ko more depth=8    mode=\"a  b\"\nextra.ko\n");
  const Entry* bus = find(entries, "lib/modules/bus.ko");
  REQUIRE(bus != nullptr);
  CHECK(
      bus->content.starts_with("\x7f"
                               "ELF"));
  const Entry* firmware = find(entries, "lib/firmware/disk.bin");
  REQUIRE(firmware != nullptr);
  CHECK(firmware->content == "update");
  CHECK(kernel.said("warning: firmware gone.bin, which disk.ko may ask for"));
  const Entry* config = find(entries, "etc/dumpwright.conf");
  REQUIRE(config != nullptr);
  CHECK(config->content == "target dev:LABEL=x:/x\n");
  const Entry* init = find(entries, "init");
  REQUIRE(init != nullptr);
  CHECK(init->mode == 0100755);
  const Entry* console = find(entries, "dev/console");
  REQUIRE(console != nullptr);
  CHECK(console->mode == 020600);
  for (const Entry& entry : entries) CHECK((entry.owner == 0 && entry.time == 0));

  // A second run gives the same bytes.
  REQUIRE(kernel.build("1.0 --modules disk,first --config " + kernel.root + "/dumpwright.conf") ==
          0);
  CHECK(read_file(kernel.root + "/out") == archive);
}

TEST_CASE("build-initrd: the list says what a module needs") {
  KernelRoot kernel;
  kernel.add_module("above", {"depends=bus,disk", "softdep=pre: bus disk"});
  kernel.depmod();
  REQUIRE(kernel.build("1.0 --modules above") == 0);
  CHECK(kernel.packed("lib/modules/modules.list").ends_with("\nabove.ko:bus,disk\n"));
}

TEST_CASE("build-initrd: default modules that the kernel lacks are no error, unless it lacks all") {
  KernelRoot kernel;
  CHECK(kernel.build("1.0") == 1);
  CHECK(kernel.said("kernel 1.0 has none of virtio_pci"));
  kernel.add_module("virtio_blk", {"license=GPL"});
  kernel.depmod();
  CHECK(kernel.build("1.0") == 0);
  const auto entries = read_archive(read_file(kernel.root + "/out"));
  const Entry* list = find(entries, "lib/modules/modules.list");
  REQUIRE(list != nullptr);
  CHECK(list->content == "virtio_blk.ko\n");
}

TEST_CASE("build-initrd: modules below /usr, wherever modprobe looks for them") {
  KernelRoot kernel;
  std::filesystem::create_directories(kernel.root + "/usr/lib");
  std::filesystem::rename(kernel.root + "/lib/modules", kernel.root + "/usr/lib/modules");
  // As built with --with-module-directory=/usr/lib/modules; it prints such paths.
  constexpr const char* kOtherModprobe =
      "behind=; for word; do shift; [ \"$behind\" != -d ] || word=$word/usr\n"
      "behind=$word; set -- \"$@\" \"$word\"; done\n"
      "PATH=/usr/sbin:/sbin:/usr/bin:/bin exec modprobe \"$@\"\n";
  for (bool other : {false, true}) {
    CAPTURE(other);
    if (other) kernel.add_program("modprobe", kOtherModprobe);
    CHECK(kernel.build("1.0 --modules disk") == 0);
    CHECK(kernel.packed("lib/modules/modules.list").starts_with("first.ko\nbus.ko\ndisk.ko "));
  }
}

TEST_CASE("build-initrd: default modules that are all built in are enough") {
  KernelRoot kernel;
  kernel.write("lib/modules/1.0/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  kernel.depmod();
  CHECK(kernel.build("1.0") == 0);
}

TEST_CASE("build-initrd: a failure names its cause and leaves the old output") {
  KernelRoot kernel;
  kernel.write("out", "old");
  CHECK(kernel.build("1.0 --modules disk,nosuch") == 1);
  CHECK(kernel.said("no module 'nosuch'"));
  CHECK(kernel.build("2.0") == 1);
  CHECK(kernel.said("no modules for kernel 2.0"));
  CHECK(kernel.build("1.0 --config /no/such/file") == 1);
  CHECK(kernel.said("cannot read the configuration /no/such/file"));
  CHECK(kernel.build("1.0 --executable /bin/sh") == 1);
  CHECK(kernel.said("is not statically linked"));
  CHECK(kernel.build("1.0 --unknown x") == 2);
  CHECK(kernel.build("1.0 --modules") == 2);
  CHECK(kernel.build("1.0 --compress lz4") == 2);
  std::filesystem::remove(kernel.root + "/lib/modules/1.0/modules.dep.bin");
  CHECK(kernel.build("1.0") == 1);
  CHECK(kernel.said("run: depmod -b"));
  CHECK(read_file(kernel.root + "/out") == "old");
}

TEST_CASE("build-initrd: a configuration with problems is refused, each of them told") {
  KernelRoot kernel;
  kernel.write("out", "old");
  kernel.write("odd.conf", "# kdump.conf\n  target /proc/x # here\n\npath /var/crash");
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/odd.conf") == 1);
  CHECK(kernel.said("odd.conf:4: path: is not a known key"));
  CHECK(kernel.said("odd.conf:2: /proc/x (proc): lies on"));
  CHECK(kernel.said("not fit for the initrd"));
  kernel.write("odd.conf", "final_action reboto\n");
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/odd.conf") == 1);
  CHECK(kernel.said("odd.conf:1: "));
  CHECK(read_file(kernel.root + "/out") == "old");
}

TEST_CASE("build-initrd: a target on a server brings its files and the drivers of network cards") {
  KernelRoot kernel;
  for (const char* module : {"virtio_blk", "virtio_net", "nfs"})
    kernel.add_module(module, {"license=GPL"});
  kernel.depmod();
  kernel.write("etc/hosts", "192.0.2.1 server\n");
  REQUIRE(kernel.run("ssh-keygen -q -t ed25519 -N '' -f " + kernel.root + "/id") == 0);
  const std::string known = "server " + read_file(kernel.root + "/id.pub");
  kernel.write("known", known);
  const std::string ssh = "target ssh://crash@server/var/crash # over there\n";
  const std::string files =
      "ssh_key " + kernel.root + "/id\n  ssh_known_hosts\t" + kernel.root + "/known # all\n";
  kernel.write("ssh.conf", ssh + files);
  auto build = [&](const std::string& more) {
    return kernel.build("1.0 --config " + kernel.root + "/ssh.conf " + more);
  };
  auto packed = [&](const std::string& name) { return kernel.packed(name); };
  INFO(kernel.messages());
  REQUIRE(build("") == 0);
  CHECK(packed(kernel.root.substr(1) + "/id") == read_file(kernel.root + "/id"));
  CHECK(packed(kernel.root.substr(1) + "/known") == known);
  CHECK(packed("etc/hosts") == "192.0.2.1 server\n");
  CHECK(packed("lib/modules/modules.list") == "virtio_blk.ko\nvirtio_net.ko\n");
  CHECK((std::filesystem::status(kernel.root + "/out").permissions() &
         std::filesystem::perms::others_all) == std::filesystem::perms::none);

  SUBCASE("NFS needs no key, and none is packed") {
    kernel.write("ssh.conf", "target nfs://server/export\n" + files);
    REQUIRE(build("") == 0);
    CHECK(packed(kernel.root.substr(1) + "/id") == "missing");
    CHECK(packed("lib/modules/virtio_net.ko") != "missing");
  }
  SUBCASE("the addresses of names go along, for a crash without a name server") {
    kernel.write("ssh.conf",
                 "target nfs://localhost:2049/export\ntarget nfs://192.0.2.1/export\n"
                 "target nfs://[2001:db8::1]/export\ntarget nfs://no.such.invalid/x\n");
    REQUIRE(build("") == 0);
    std::string addresses = packed("etc/hosts.known");
    CHECK(addresses.find("127.0.0.1 localhost\n") != std::string::npos);
    CHECK(addresses.find("192.0.2.1") == std::string::npos);
    CHECK(kernel.said("no.such.invalid cannot be resolved now (after the crash it has to be)"));
    // Whoever knows them, names them.
    kernel.write("addresses", "192.0.2.9 localhost\n192.0.2.8 no.such.invalid\n");
    REQUIRE(build("--addresses " + kernel.root + "/addresses") == 0);
    CHECK(packed("etc/hosts.known") == read_file(kernel.root + "/addresses"));
    CHECK_FALSE(kernel.said("cannot be resolved"));
  }
  SUBCASE("a local target needs no network, unless the command line's will") {
    kernel.write("ssh.conf", "# target ssh://a@b/c\ntarget dev:LABEL=x:/x\n" + files);
    REQUIRE(build("") == 0);
    CHECK(packed("lib/modules/virtio_net.ko") == "missing");
    CHECK(packed("etc/hosts") == "missing");
    CHECK(packed(kernel.root.substr(1) + "/id") == "missing");
    REQUIRE(build("--network yes") == 0);
    CHECK(packed("lib/modules/virtio_net.ko") != "missing");
    CHECK(build("--network maybe") == 2);
  }
  SUBCASE("what would fail after the crash is refused") {
    kernel.write("old", "");
    kernel.write("out", "old");
    REQUIRE(kernel.run("ssh-keygen -q -t ed25519 -N secret -f " + kernel.root + "/locked") == 0);
    const std::pair<std::string, const char*> wrong[] = {
        {"ssh_key /no/such/key\nssh_known_hosts " + kernel.root + "/known\n",
         "ssh.conf:2: /no/such/key: cannot read the SSH key: No such file"},
        {"ssh_key " + kernel.root + "/id\nssh_known_hosts /no/hosts\n",
         "ssh.conf:3: /no/hosts: cannot read the known_hosts file: No such file"},
        {"ssh_key id\nssh_known_hosts " + kernel.root + "/known\n", "absolute path"},
        {"ssh_key " + kernel.root + "/../id\nssh_known_hosts /x\n", "absolute path"},
        {"ssh_key " + kernel.root + "/locked\nssh_known_hosts " + kernel.root + "/known\n",
         "passphrase"},
        {"", "needs a key"}};
    for (const auto& line : wrong) {
      CAPTURE(line.first);
      kernel.write("ssh.conf", ssh + line.first);
      CHECK(build("") == 1);
      CHECK(kernel.said(line.second));
    }
    CHECK(read_file(kernel.root + "/out") == "old");
  }
}

TEST_CASE("build-initrd: devices that would have to be put together first are refused") {
  KernelRoot kernel;
  kernel.add_module("virtio_blk", {"license=GPL"});
  kernel.depmod();
  auto refused = [&](const std::string& target, const char* says) {
    CAPTURE(target);
    kernel.write("x.conf", "target " + target + "\n");
    int status = kernel.build("1.0 --network no --config " + kernel.root + "/x.conf");
    CHECK(status == (says == nullptr ? 0 : 1));
    if (says != nullptr) CHECK(kernel.said(says));
  };
  for (const char* device : {"dev/dm-0", "dev/dm-1", "dev/md0", "dev/sda1"})
    kernel.write(device, "");
  kernel.write("sys/class/block/dm-0/dm/uuid", "LVM-abc\n");
  kernel.write("sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-abc\n");
  kernel.write("sys/class/block/md0/md/level", "raid1\n");
  kernel.write("sys/devices/x/driver/uevent", "");
  kernel.write("sys/devices/x/block/sda/sda1/partition", "1\n");
  kernel.link("sys/class/block/sda1", "sys/devices/x/block/sda/sda1");
  REQUIRE(kernel.run("mkdir -p " + kernel.root + "/dev/disk/by-uuid " + kernel.root +
                     "/dev/disk/by-label && ln -s ../../dm-0 " + kernel.root +
                     "/dev/disk/by-uuid/12 && ln -s ../../sda1 " + kernel.root +
                     "/dev/disk/by-label/plain") == 0);
  refused("dev:UUID=12:/crash", "lies on LVM");
  refused("dev:/dev/dm-1:/crash", "lies on an encrypted device");
  refused("raw:/dev/md0?force=yes", "lies on RAID");
  kernel.add_program("blkid", "echo ext4\n");
  refused("dev:LABEL=plain:/crash", nullptr);
  refused("raw:/dev/sda1", nullptr);
}

TEST_CASE("build-initrd: a shell is no action of an initrd without one") {
  KernelRoot kernel;
  kernel.write("x.conf", "target dev:LABEL=x:/x\nfailure_action shell\n");
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/x.conf") == 1);
  CHECK(kernel.said("failure_action shell: this initrd has none; use another action"));
}

TEST_CASE("build-initrd: scripts before and after the capture are told to be left out") {
  KernelRoot kernel;
  for (const char* name : {"pre.d/10-fans", "pre.d/README", "post.d/mail"})
    kernel.write(std::string("etc/dumpwright/") + name, "#!/bin/sh\n");
  for (const char* name : {"pre.d/10-fans", "post.d/mail"})
    std::filesystem::permissions(kernel.root + "/etc/dumpwright/" + name,
                                 std::filesystem::perms::owner_all);
  CHECK(kernel.build("1.0 --modules first") == 0);
  CHECK(kernel.said("/etc/dumpwright/pre.d/10-fans is not run: this initrd has no shell"));
  CHECK(kernel.said("/etc/dumpwright/post.d/mail is not run"));
  CHECK_FALSE(kernel.said("README"));
}

TEST_CASE("build-initrd: devices get names that last in the initrd's configuration") {
  KernelRoot kernel;
  for (const char* device : {"dev/sda", "dev/sdb1", "dev/sdc", "dev/dm-1"})
    kernel.write(device, "");
  auto link = [&](const char* to, const char* name) {
    std::filesystem::path path = kernel.root + "/dev/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::create_symlink(kernel.root + "/dev/" + to, path);
  };
  link("sdb1", "disk/by-partuuid/5a3b7c21-01");
  link("sdb1", "disk/by-uuid/aaaa-bbbb");
  link("sdb1", "disk/by-id/wwn-0x5-part1");
  link("sdb1", "disk/by-path/pci-0000:00:1f.2-ata-1-part1");
  link("sdc", "disk/by-uuid/cccc-dddd");
  link("dm-1", "mapper/group-volume");
  auto packed = [&](const std::string& text) -> std::string {
    kernel.write("x.conf", text);
    if (kernel.build("1.0 --modules first --config " + kernel.root + "/x.conf") != 0) return "";
    const auto entries = read_archive(test::read_file(kernel.root + "/out"));
    const Entry* entry = find(entries, "etc/dumpwright.conf");
    return entry == nullptr ? "" : entry->content;
  };
  CHECK(packed("# targets\n target\traw:/dev/sdb1?overwrite=yes # second\n") ==
        "# targets\n target\traw:PARTUUID=5a3b7c21-01?overwrite=yes # second\n");
  CHECK(packed("target raw:/dev/disk/by-id/wwn-0x5-part1\ntarget dev:/dev/sdc:/a:/b") ==
        "target raw:PARTUUID=5a3b7c21-01\ntarget dev:UUID=cccc-dddd:/a:/b\n");
  CHECK(packed("target dev:/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part1:/x\n") ==
        "target dev:PARTUUID=5a3b7c21-01:/x\n");
  const std::string lasting =
      "target raw:PARTUUID=5a3b7c21-01\ntarget dev:/dev/disk/by-uuid/aaaa-bbbb:/x\n"
      "target nfs://h/dev/sdb1\ntarget raw:/dev/nvme9n1p9\n#target raw:/dev/sdb1\n";
  CHECK(packed(lasting) == lasting);
  CHECK(kernel.said("there is no /dev/nvme9n1p9 now"));
  CHECK(packed("target raw:/dev/sda\n") == "target raw:/dev/sda\n");
  CHECK(kernel.said("/dev/sda may be another disk after a crash"));
  for (const char* name : {"disk/by-id/other", "mapper/group-volume"}) {
    CAPTURE(name);
    CHECK(packed(std::string("target dev:/dev/") + name + ":/x\n").empty());
    CHECK(kernel.said("nothing makes this name in the initrd; write PARTUUID="));
  }
  // A kernel root without devices.
  std::filesystem::remove_all(kernel.root + "/dev");
  CHECK(packed(lasting) == lasting);
}

TEST_CASE("build-initrd: an executable that cannot be run cannot check a configuration") {
  KernelRoot kernel;
  kernel.write("init", std::string(kElfStart) + "static");
  CHECK(kernel.build("1.0 --modules first") == 0);
  CHECK(kernel.build("1.0 --modules first --config " + kernel.root + "/dumpwright.conf") == 1);
  CHECK(kernel.said("cannot be run here"));
}
