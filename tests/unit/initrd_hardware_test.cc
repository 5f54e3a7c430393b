// What the builders of initrds find out about a machine, on one that is made of files.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/support/kernel_root.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using namespace dw::test;

namespace {

const std::string kHooks = DUMPWRIGHT_TESTS "/../initrd-hooks";

const std::string kBridge = "pci0000:00/0000:00:01.0";
const std::string kCard = kBridge + "/0000:01:00.0";

class Machine : public KernelRoot {
 public:
  Machine() {
    // As the system's, for what is not build-initrd.
    add_program("modprobe", "case \"$*\" in *' -d '*) ;; *) set -- -d " + root +
                                " \"$@\" ;; esac\n"
                                "PATH=/usr/sbin:/sbin:/usr/bin:/bin exec modprobe \"$@\"\n");
    add_program("blkid", "for device; do :; done; cat \"$device\"\n");
    add_module("raid_card", {"alias=pci:v00001000d*", "softdep=pre: raid_class"});
    add_module("raid_class", {"license=GPL"});
    add_module("sd_mod", {"alias=scsi:t-0x00*"});
    add_module("nvme_card", {"alias=pci:v00000a54d*"});
    depmod();
    add_device(kBridge, "pci:v00008086d0001", "");
    write("sys/devices/" + kBridge + "/driver/uevent", "");  // built in
    add_device(kCard, "pci:v00001000d005d", "raid_card");
    add_disk("sda", kCard + "/host0/target0:0:0/0:0:0:0");
    add_device(kCard + "/host0/target0:0:0/0:0:0:0", "scsi:t-0x00", "sd_mod");
    add_partition("sda", "sda1");
    add_file_system("sda1", "ext4\n");
    link("dev/disk/by-label/plain", "dev/sda1");
  }

  // A device in /sys/devices and the module of its driver, if there is one.
  void add_device(const std::string& path, const std::string& alias,
                  const std::string& module) const {
    write("sys/devices/" + path + "/modalias", alias + "\n");
    if (module.empty()) return;
    link("sys/devices/" + path + "/driver", "sys/drivers/" + module);
    if (std::filesystem::exists(root + "/sys/drivers/" + module)) return;
    std::filesystem::create_directories(root + "/sys/drivers/" + module);
    link("sys/drivers/" + module + "/module", "sys/module/" + module);
    write("sys/module/" + module + "/initstate", "live\n");
  }
  void add_block(const std::string& name, const std::string& path) const {
    write("sys/devices/" + path + "/size", "1\n");
    link("sys/class/block/" + name, "sys/devices/" + path);
    write("dev/" + name, "");
  }
  void add_disk(const std::string& name, const std::string& parent) const {
    add_block(name, parent + "/block/" + name);
  }
  void add_partition(const std::string& disk, const std::string& name) const {
    std::filesystem::path path = std::filesystem::canonical(root + "/sys/class/block/" + disk);
    add_block(name, path.lexically_relative(root + "/sys/devices").string() + "/" + name);
    write("sys/class/block/" + name + "/partition", "1\n");
  }
  void add_file_system(const std::string& name, const std::string& type) const {
    write("dev/" + name, type);
  }
  void add_watchdog() const {
    add_module("i2c_i801", {"alias=pci:v00008086da323*"});
    add_module("iTCO_wdt", {"alias=platform:iTCO_wdt"});
    depmod();
    const std::string parent = "pci0000:00/0000:00:1f.4";
    add_device(parent, "pci:v00008086da323", "i2c_i801");
    add_device(parent + "/iTCO_wdt", "platform:iTCO_wdt", "iTCO_wdt");
    write("sys/devices/" + parent + "/iTCO_wdt/watchdog/watchdog0/state", "active\n");
    link("sys/class/watchdog/watchdog0", "sys/devices/" + parent + "/iTCO_wdt/watchdog/watchdog0");
  }
  // Put together from others.
  void add_virtual(const std::string& name, const std::vector<std::string>& parts) const {
    add_block(name, "virtual/block/" + name);
    for (const std::string& part : parts)
      link("sys/devices/virtual/block/" + name + "/slaves/" + part, "sys/class/block/" + part);
  }

  void configure(const std::string& target) const { write("x.conf", "target " + target + "\n"); }
  // The exit status of build-initrd for such a target.
  int build_for(const std::string& target) const {
    configure(target);
    return build("1.0 --config " + root + "/x.conf");
  }
  // Of shell commands that have the functions of the builders, and a configuration.
  int call(const std::string& commands, const std::string& shell = "sh -eu") const {
    write("script", ". " + kHooks + "/common.sh; . " + kHooks + "/hardware.sh\n" + commands + "\n");
    return run("DUMPWRIGHT_COMMON=" + kHooks + "/common.sh DUMPWRIGHT_ROOT=" + root +
               " DUMPWRIGHT_KERNEL=1.0 DUMPWRIGHT_EXECUTABLE=" + root + "/init DUMPWRIGHT_CONFIG=" +
               root + "/x.conf DESTDIR=" + root + "/tree " + shell + " " + root + "/script");
  }
  // The check of a builder.
  int check_for(const std::string& target, const std::string& kind) const {
    configure(target);
    return call("dumpwright_check_machine " + kind);
  }
  [[nodiscard]] std::string list() const { return packed("lib/modules/modules.list"); }
  // The path of a copy of a builder's script that finds this machine's scripts and `functions`.
  [[nodiscard]] std::string adapted(const std::string& script) const {
    std::string text = read_file(kHooks + script);
    for (const std::string place :
         {"/usr/share/initramfs-tools/hook-functions", "/etc/dumpwright/"}) {
      std::string here = root + (place == "/etc/dumpwright/" ? place : std::string("/functions"));
      for (size_t at = text.find(place); at != text.npos; at = text.find(place, at + here.size()))
        text.replace(at, place.size(), here);
    }
    write("adapted", text);
    return root + "/adapted";
  }
};

// As the builders make the tree of an initrd.
int run_hook(const Machine& machine) {
  std::filesystem::remove_all(machine.root + "/tree");
  std::filesystem::create_directories(machine.root + "/tree/lib/modules");
  machine.write("functions", "manual_add_modules() { echo add $*; }\n");
  return machine.call(". " + machine.adapted("/initramfs-tools/conf/hooks/dumpwright"), "sh -e");
}
int run_module(const Machine& machine) {
  std::filesystem::remove_all(machine.root + "/tree");
  return machine.call(
      "instmods() { echo add $*; }; initdir=$DESTDIR\n"
      "inst() { mkdir -p \"$initdir${1%/*}\"; cp -L \"$1\" \"$initdir$1\"; }\n"
      "for name in inst_binary inst_simple inst_hook dracut_module_included; do\n"
      "eval \"$name() { :; }\"; done; SYSTEMCTL=: systemdsystemunitdir=\n. " +
          machine.adapted("/dracut/55dumpwright/module-setup.sh") + "; installkernel; install",
      "bash");
}

}  // namespace

TEST_CASE("initrd: the drivers of all that a target hangs on") {
  Machine machine;
  REQUIRE(machine.build_for("dev:LABEL=plain:/crash") == 0);
  CHECK(machine.list() == "sd_mod.ko\nraid_class.ko\nraid_card.ko\n");
  REQUIRE(machine.build_for("raw:/dev/sda") == 0);
  CHECK(machine.list() == "sd_mod.ko\nraid_class.ko\nraid_card.ko\n");
  // What drives it now comes before others that could.
  machine.add_module("a_card", {"alias=pci:v00001000d*"});
  machine.depmod();
  REQUIRE(machine.build_for("raw:/dev/sda") == 0);
  CHECK(machine.list() == "sd_mod.ko\nraid_class.ko\nraid_card.ko\na_card.ko\n");
  // Of a server none.
  REQUIRE(machine.build_for("nfs://192.0.2.1/x") == 0);
  CHECK(machine.list() == "sd_mod.ko\n");
}

TEST_CASE("initrd: NVMe in several ways hangs on all its controllers") {
  Machine machine;
  machine.add_device("pci0000:00/0000:00:02.0", "pci:v00000a54d1", "nvme_card");
  machine.write("sys/devices/pci0000:00/0000:00:02.0/nvme/nvme0/transport", "pcie\n");
  machine.add_block("nvme0n1", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
  machine.link("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
               "sys/devices/pci0000:00/0000:00:02.0/nvme/nvme0");
  machine.add_partition("nvme0n1", "nvme0n1p1");
  REQUIRE(machine.build_for("raw:/dev/nvme0n1p1") == 0);
  CHECK(machine.list() == "sd_mod.ko\nnvme_card.ko\n");
  machine.configure("raw:/dev/nvme0n1p1");
  CHECK(machine.call("dumpwright_target_modules") == 0);
  CHECK(machine.messages() == "nvme_card\n");
}

TEST_CASE("initrd: the drivers of all that a device is put together from") {
  Machine machine;
  machine.add_virtual("md0", {"sda1"});
  machine.add_partition("md0", "md0p1");
  machine.add_virtual("dm-0", {"md0p1"});
  machine.configure("raw:/dev/dm-0");
  for (const char* shell : {"sh -eu", "bash -euo pipefail"}) {
    CHECK(machine.call("dumpwright_target_modules", shell) == 0);
    CHECK(machine.messages() == "raid_card\nsd_mod\n");
  }
}

TEST_CASE("initrd: a disk whose driver the capture kernel lacks is refused") {
  Machine machine;
  std::filesystem::remove(machine.root + "/lib/modules/1.0/kernel/raid_card.ko");
  machine.depmod();
  CHECK(machine.build_for("raw:/dev/sda") == 1);
  CHECK(machine.said("whose driver raid_card is not in kernel 1.0"));
  SUBCASE("unless it is built in") {
    machine.write("lib/modules/1.0/modules.builtin", "kernel/raid-card.ko\n");
    machine.depmod();
    CHECK(machine.build_for("raw:/dev/sda") == 0);
  }
  SUBCASE("unless another module has the device") {
    machine.add_module("other", {"alias=pci:v00001000d*"});
    machine.depmod();
    CHECK(machine.build_for("raw:/dev/sda") == 0);
    CHECK(machine.list() == "sd_mod.ko\nother.ko x=1\n");
  }
}

TEST_CASE("initrd: a device that is not there, or not with a file system that is mounted") {
  Machine machine;
  CHECK(machine.build_for("dev:UUID=12:/crash") == 1);
  CHECK(machine.said("target dev:UUID=12:/crash: this machine has no /dev/disk/by-uuid/12 now"));
  CHECK(machine.check_for("raw:/dev/sdb", "dracut") == 1);
  CHECK(machine.said("has no /dev/sdb now"));
  // Another may take its place, and none of several is not enough.
  CHECK(machine.build_for("raw:/dev/sdb\ntarget raw:/dev/sda") == 0);
  CHECK(machine.said("warning: target raw:/dev/sdb: this machine has no /dev/sdb now"));
  CHECK(machine.build_for("raw:/dev/sdb\ntarget dev:UUID=12:/crash") == 1);
  CHECK(machine.check_for("raw:/dev/sdb\ntarget raw:/dev/sda", "dracut") == 0);
  for (const char* type : {"ext2", "ext3", "ext4", "xfs"}) {
    machine.add_file_system("sda1", type);
    CHECK(machine.build_for("dev:LABEL=plain:/crash") == 0);
  }
  machine.add_file_system("sda1", "btrfs\n");
  CHECK(machine.build_for("dev:LABEL=plain:/crash") == 1);
  CHECK(machine.said("there is btrfs on /dev/disk/by-label/plain, and only"));
  CHECK(machine.said("(raw:/dev/X)"));
  CHECK(machine.build_for("raw:/dev/sda1") == 0);
  machine.add_file_system("sda1", "");
  CHECK(machine.check_for("dev:/dev/sda1:/crash", "initramfs-tools") == 1);
  CHECK(machine.said("there is no file system on /dev/sda1"));
}

TEST_CASE("initrd: what has to be put together first, by kinds of initrds") {
  Machine machine;
  machine.add_virtual("md126", {"sda"});
  machine.write("sys/class/block/md126/md/level", "container\n");
  machine.add_partition("md126", "md126p2");
  machine.add_virtual("dm-0", {"md126p2"});
  auto is = [&](const std::string& uuid) { machine.write("sys/class/block/dm-0/dm/uuid", uuid); };
  auto refused = [&](const std::string& target, const std::string& kind) {
    bool is_refused = machine.check_for(target, kind) != 0;
    CHECK(is_refused == machine.said("an initrd of kind"));
    return is_refused;
  };
  CHECK(machine.build_for("raw:/dev/md126p2") == 1);
  CHECK(machine.said("lies on RAID, which an initrd of kind standalone does not set up; use a"));
  CHECK(machine.said("or say `initrd dracut`"));
  CHECK_FALSE(refused("raw:/dev/md126p2", "dracut"));
  CHECK(refused("raw:/dev/md126p2", "initramfs-tools"));
  machine.write("usr/share/initramfs-tools/hooks/mdadm", "");
  CHECK_FALSE(refused("raw:/dev/md126p2", "initramfs-tools"));

  is("LVM-abc\n");
  CHECK(refused("raw:/dev/dm-0", "standalone"));
  CHECK(refused("raw:/dev/dm-0", "initramfs-tools"));
  CHECK(machine.said("lies on LVM"));
  CHECK_FALSE(refused("raw:/dev/dm-0", "dracut"));
  CHECK(refused("raw:/dev/dm-0", "dracut-systemd"));
  CHECK_FALSE(refused("raw:/dev/md126p2", "dracut-systemd"));
  is("part1-mpath-abc\n");
  CHECK_FALSE(refused("raw:/dev/dm-0", "dracut"));
  CHECK(refused("raw:/dev/dm-0", "initramfs-tools"));
  for (const char* other : {"", "DMRAID-abc\n"}) {
    is(other);
    CHECK(refused("raw:/dev/dm-0", "dracut"));
    CHECK(machine.said("lies on the device mapper"));
    CHECK_FALSE(machine.said("initrd dracut`"));
  }
  // Encrypted below LVM.
  is("CRYPT-LUKS2-abc\n");
  machine.add_virtual("dm-1", {"dm-0"});
  machine.write("sys/class/block/dm-1/dm/uuid", "LVM-abc\n");
  CHECK(machine.check_for("raw:/dev/dm-1", "dracut") == 1);
  CHECK(machine.said("lies on an encrypted device, and nobody types its passphrase"));
  CHECK(machine.check_for("raw:/dev/dm-0", "initramfs-tools") == 1);
  CHECK(machine.said("lies on an encrypted device, and nobody types its passphrase"));
}

TEST_CASE("initrd: disks that somebody has to connect to are refused") {
  Machine machine;
  const std::string session = "platform/host3/session1/target3:0:0/3:0:0:0";
  machine.add_device(session, "scsi:t-0x00", "sd_mod");
  machine.add_disk("sdb", session);
  CHECK(machine.check_for("raw:/dev/sdb", "dracut") == 1);
  CHECK(machine.said("lies on iSCSI"));
  machine.add_disk("nvme1n1", "virtual/nvme-fabrics/ctl/nvme1");
  machine.write("sys/devices/virtual/nvme-fabrics/ctl/nvme1/transport", "tcp\n");
  CHECK(machine.check_for("raw:/dev/nvme1n1", "dracut") == 1);
  CHECK(machine.said("lies on NVMe over fabrics"));
}

TEST_CASE("initrd: a device that no driver has is refused") {
  Machine machine;
  machine.add_virtual("loop0", {});
  CHECK(machine.build_for("raw:/dev/loop0") == 1);
  CHECK(machine.said("target raw:/dev/loop0: loop0 is no disk"));
}

TEST_CASE("initrd: ways to servers that lead over interfaces which nobody sets up") {
  Machine machine;
  auto way_over = [&](const std::string& interface) {
    machine.add_program("ip", "echo \"$4 dev " + interface + " src 192.0.2.2\"\n");
    return machine.check_for("nfs://192.0.2.1/x", "dracut") == 0;
  };
  auto add = [&](const std::string& name, const std::string& uevent) {
    machine.write("sys/class/net/" + name + "/uevent", uevent + "INTERFACE=" + name + "\n");
  };
  auto lower = [&](const std::string& above, const std::string& below) {
    machine.link("sys/class/net/" + above + "/lower_" + below, "sys/class/net/" + below);
  };
  add("port0", "");
  machine.link("sys/class/net/port0/device", "sys/devices/" + kCard);
  CHECK(way_over("port0"));
  // As Hyper-V's card may have one of the host's below.
  add("port1", "");
  lower("port0", "port1");
  CHECK(way_over("port0"));
  add("br0", "DEVTYPE=bridge\n");
  add("tap0", "");
  lower("br0", "port0");
  lower("br0", "tap0");
  CHECK(way_over("br0"));

  for (const char* kind : {"bond", "vlan", "vxlan"}) {
    add("up0", std::string("DEVTYPE=") + kind + "\n");
    CHECK_FALSE(way_over("up0"));
    const std::string says = std::string("over up0, a ") + kind + ", which no initrd sets up; use";
    CHECK(machine.said(says.c_str()));
  }
  CHECK(machine.build_for("nfs://192.0.2.1/x") == 1);
  CHECK(machine.build_for("nfs://[2001:db8::1]/x") == 1);
  CHECK(machine.build_for("nfs://localhost/x") == 1);
  CHECK(machine.said("the way to localhost leads over up0"));
  add("team0", "");
  lower("team0", "port0");
  CHECK_FALSE(way_over("team0"));
  CHECK(machine.said("a combination of other interfaces"));
  CHECK_FALSE(way_over("tap0"));
  CHECK(machine.said("a virtual interface"));
  add("wlan0", "DEVTYPE=wlan\n");
  machine.link("sys/class/net/wlan0/device", "sys/devices/" + kCard);
  CHECK_FALSE(way_over("wlan0"));

  add("vlan0", "DEVTYPE=vlan\n");
  lower("br0", "vlan0");
  CHECK_FALSE(way_over("br0"));
  CHECK(machine.said("over br0, a bridge over a vlan, which"));
  // Of a way that cannot be seen nothing is known.
  machine.add_program("ip", "exit 2\n");
  CHECK(machine.check_for("nfs://192.0.2.1/x", "dracut") == 0);
}

TEST_CASE("initrd: the drivers of watchdogs, and of what makes their devices") {
  Machine machine;
  machine.add_watchdog();
  REQUIRE(machine.build_for("raw:/dev/sda") == 0);
  CHECK(machine.list() == "sd_mod.ko\nraid_class.ko\nraid_card.ko\ni2c_i801.ko\niTCO_wdt.ko\n");
  // One without a device is not of hardware.
  machine.write("sys/devices/virtual/watchdog/watchdog1/state", "active\n");
  machine.link("sys/class/watchdog/watchdog1", "sys/devices/virtual/watchdog/watchdog1");
  CHECK(machine.call("dumpwright_watchdog_modules") == 0);
  CHECK(machine.messages() == "i2c_i801\niTCO_wdt\n");
  // The one that is none of the class.
  for (const char* module : {"ipmi_si", "ipmi_watchdog"}) machine.add_module(module, {"x=y"});
  machine.depmod();
  CHECK(machine.call("dumpwright_watchdog_modules") == 0);
  CHECK(machine.messages() == "i2c_i801\niTCO_wdt\n");
  for (const char* module : {"ipmi_ssif", "ipmi_si", "ipmi_watchdog"})
    machine.write(std::string("sys/module/") + module + "/initstate", "live\n");
  CHECK(machine.call("dumpwright_watchdog_modules") == 0);
  CHECK(machine.messages() == "i2c_i801\niTCO_wdt\nipmi_si\nipmi_watchdog\n");
}

TEST_CASE("initrd: the drivers of network cards, but not of Wi-Fi") {
  Machine machine;
  machine.add_module("port_card", {"alias=pci:v00008086d1*"});
  machine.add_module("wifi_card", {"alias=pci:v00008086d2*"});
  machine.depmod();
  machine.add_device("pci0000:00/0000:00:03.0", "pci:v00008086d1", "port_card");
  machine.add_device("pci0000:00/0000:00:04.0", "pci:v00008086d2", "wifi_card");
  machine.link("sys/class/net/port0/device", "sys/devices/pci0000:00/0000:00:03.0");
  machine.link("sys/class/net/wlan0/device", "sys/devices/pci0000:00/0000:00:04.0");
  machine.write("sys/class/net/wlan0/phy80211/index", "0\n");
  REQUIRE(machine.build_for("nfs://192.0.2.1/x") == 0);
  CHECK(machine.list() == "sd_mod.ko\nport_card.ko\n");
  REQUIRE(machine.build_for("raw:/dev/sda") == 0);
  CHECK(machine.list() == "sd_mod.ko\nraid_class.ko\nraid_card.ko\n");
}

TEST_CASE("initrd: initramfs-tools and dracut get the drivers too") {
  Machine machine;
  machine.add_watchdog();
  machine.configure("raw:/dev/sda1");
  CHECK(run_hook(machine) == 0);
  CHECK(machine.said("add raid_card\nadd sd_mod\nadd i2c_i801\nadd iTCO_wdt\n"));
  CHECK(read_file(machine.root + "/tree/etc/dumpwright-watchdogs") == "i2c_i801\niTCO_wdt\n");

  CHECK(run_module(machine) == 0);
  CHECK(machine.said("add raid_card\nadd sd_mod\nadd i2c_i801\nadd iTCO_wdt\n"));
  CHECK(read_file(machine.root + "/tree/etc/dumpwright-watchdogs") == "i2c_i801\niTCO_wdt\n");
}

TEST_CASE("initrd: systemd of dracut's leaves the watchdog to dumpwright") {
  Machine machine;
  machine.configure("raw:/dev/sda1");
  CHECK(run_module(machine) == 0);
  CHECK(read_file(machine.root + "/tree/etc/systemd/system.conf.d/zz-dumpwright.conf") ==
        "[Manager]\nRuntimeWatchdogSec=0\n");
}

TEST_CASE("initrd: scripts that are not executable are named, and left out") {
  Machine machine;
  machine.configure("raw:/dev/sda1");
  for (const char* script : {"pre.d/10-fans", "post.d/mail"})
    machine.write(std::string("etc/dumpwright/") + script, "#!/bin/sh\n");
  std::filesystem::permissions(machine.root + "/etc/dumpwright/pre.d/10-fans",
                               std::filesystem::perms::owner_all);
  const std::string warning = "dumpwright: warning: " + machine.root +
                              "/etc/dumpwright/post.d/mail is left out: it is not executable";
  for (int (*build)(const Machine&) : {run_hook, run_module}) {
    CHECK(build(machine) == 0);
    CHECK(machine.said(warning.c_str()));
    CHECK_FALSE(machine.said("10-fans is left out"));
    CHECK(std::filesystem::exists(machine.root + "/tree" + machine.root +
                                  "/etc/dumpwright/pre.d/10-fans"));
    CHECK_FALSE(
        std::filesystem::exists(machine.root + "/tree" + machine.root + "/etc/dumpwright/post.d"));
  }
}

TEST_CASE("initrd: initramfs-tools is told of a RAID that a target lies on") {
  Machine machine;
  machine.add_virtual("md0", {"sda1"});
  machine.write("sys/class/block/md0/md/level", "raid1\n");
  for (const char* target : {"raw:/dev/sda1", "raw:/dev/md0"}) {
    machine.configure(target);
    CHECK(run_hook(machine) == 0);
    CHECK(std::filesystem::exists(machine.root + "/tree/etc/dumpwright-raid") ==
          (std::string(target) == "raw:/dev/md0"));
  }
}
