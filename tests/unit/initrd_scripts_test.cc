// The scripts that start `dumpwright supervise` below initramfs-tools and dracut, run by /bin/sh
// (dash on Debian) with places of their own.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>

#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

const std::filesystem::path kHooks = std::filesystem::path(DUMPWRIGHT_TESTS) / "../initrd-hooks";
constexpr const char* kPremount = "initramfs-tools/conf/scripts/init-premount/dumpwright";
constexpr const char* kTop = "initramfs-tools/conf/scripts/init-top/dumpwright";
constexpr const char* kBegin = "dracut/55dumpwright/dumpwright-begin";
constexpr const char* kCapture = "dracut/55dumpwright/dumpwright-capture.sh";
constexpr const char* kRoot = "dracut/55dumpwright/dumpwright-root.sh";

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

// A capture kernel's folders; `supervise` writes a line to the file "ran" and ends.
class Initrd {
 public:
  Initrd() {
    test::write_file(root_ / "vmcore", "");
    write_program("dumpwright", "#!/bin/sh\necho \"$1\" >>" + (root_ / "ran") + "\n");
    test::write_file(root_ / "dumpwright-guard", "999999999\n");
  }

  void add_console() const { test::write_file(root_ / "console", ""); }
  void write(const std::string& name, const std::string& text) const {
    test::write_file(root_ / name, text);
  }

  // With places of this initrd, and sleeps that end at once, the last of them the script.
  void put(const char* script, const char* name) const {
    std::string text = test::read_file((kHooks / script).string());
    for (auto [place, file] : {std::pair{"/proc/vmcore", "vmcore"},
                               {"/proc/sysrq-trigger", "sysrq"},
                               {"/usr/sbin/dumpwright", "dumpwright"},
                               {"/run/dumpwright-guard", "dumpwright-guard"},
                               {"/run/dumpwright-begun", "dumpwright-begun"},
                               {"/etc/dumpwright.devices", "devices"},
                               {"/etc/dumpwright-raid", "raid"},
                               {"/sys/block", "block"}})
      replace_all(text, place, root_ / file);
    bool console = std::filesystem::exists(root_ / "console");
    replace_all(text, "/dev/console", console ? root_ / "console" : root_ / "no/such/console");
    replace_all(text, "sleep 20\n", "sleep 0\n");
    replace_all(text, "sleep 600", guard_waits);
    replace_all(text, "sleep 60\n", "sleep 0\n");
    replace_all(text, "sleep 1000", "exit 0");
    write_program(name, text);
  }
  void write_program(const std::string& name, const std::string& text) const {
    test::write_file(root_ / name, text);
    std::filesystem::permissions(root_ / name, std::filesystem::perms::owner_all);
  }

  // What this shell says; scripts see it as theirs.
  [[nodiscard]] test::Outcome sh(const std::string& commands) const {
    return test::run({"/bin/sh", "-c", "cd " + root_.path() + "; " + commands});
  }
  [[nodiscard]] std::string text(const char* name) const {
    return std::filesystem::exists(root_ / name) ? test::read_file(root_ / name) : "";
  }
  [[nodiscard]] std::string path(const char* name) const { return root_ / name; }

  const char* guard_waits = "sleep 0";

 private:
  test::TempDir root_;
};

// Runs `commands` with each of the scripts as ./script, in an initrd with and without a console;
// `check` looks at what that left. Both end in a reboot, told where there is a console.
void with_and_without_console(std::initializer_list<const char*> scripts,
                              const std::string& commands, void (*check)(const Initrd& initrd)) {
  for (const char* script : scripts) {
    for (bool console : {false, true}) {
      CAPTURE(script);
      CAPTURE(console);
      Initrd initrd;
      if (console) initrd.add_console();
      initrd.put(script, "script");
      CHECK(initrd.sh(commands).status == 0);
      CHECK(initrd.text("sysrq") == "b\n");
      CHECK((initrd.text("console").find("rebooting") != std::string::npos) == console);
      check(initrd);
    }
  }
}

}  // namespace

TEST_CASE("initrd scripts: without a console the dump is saved all the same, then the reboot") {
  with_and_without_console({kPremount, kBegin}, ". ./script", [](const Initrd& initrd) {
    CHECK(initrd.text("ran") == "supervise\n");
  });
}

TEST_CASE("initrd scripts: the guard starts without a console too") {
  with_and_without_console({kTop, kRoot}, ". ./script; wait", [](const Initrd& initrd) {
    CHECK(initrd.text("dumpwright-guard") != "999999999\n");
  });
}

TEST_CASE("initrd scripts: dracut's other jobs have time to make the targets' devices") {
  Initrd initrd;
  initrd.write("devices", initrd.path("vmcore") + "\n" + initrd.path("volume") + "\n");
  initrd.put(kBegin, "dumpwright-begin");
  initrd.put(kCapture, "script");
  CHECK(initrd.sh(". ./script; . ./script; echo went on").out == "went on\n");
  CHECK(initrd.text("ran").empty());
  SUBCASE("they are there") {
    CHECK(initrd.sh(". ./script; >volume; . ./script").status == 0);
    CHECK(initrd.text("ran") == "supervise\n");
  }
  SUBCASE("they never come") {
    CHECK(initrd.sh("i=0; while [ $i -lt 59 ]; do . ./script; i=$((i + 1)); done").status == 0);
    CHECK(initrd.text("ran").empty());
    CHECK(initrd.sh("i=0; while [ $i -lt 60 ]; do . ./script; i=$((i + 1)); done").status == 0);
    CHECK(initrd.text("ran") == "supervise\n");
  }
}

TEST_CASE("initrd scripts: dracut's capture begins though udev is never at rest, and once") {
  Initrd initrd;
  initrd.add_console();
  initrd.guard_waits = "sleep 20";
  initrd.write("devices", "");
  initrd.put(kBegin, "dumpwright-begin");
  initrd.put(kCapture, "capture");
  initrd.put(kRoot, "script");
  SUBCASE("by the clock") {
    CHECK(initrd.sh(". ./script; wait").status == 0);
    CHECK(initrd.text("ran") == "supervise\n");
    CHECK(initrd.text("console").find("in 10 minutes") == std::string::npos);
    CHECK(initrd.sh(". ./capture").status == 0);
    CHECK(initrd.text("ran") == "supervise\n");
  }
  SUBCASE("not by the clock if it has begun") {
    CHECK(initrd.sh("echo 999999999 >dumpwright-guard; . ./capture").status == 0);
    CHECK(initrd.sh(". ./script; kill $(cat dumpwright-guard); wait").status == 0);
    CHECK(initrd.text("ran") == "supervise\n");
  }
}

TEST_CASE("initrd scripts: a RAID that lacks a disk is started while the capture looks for it") {
  Initrd initrd;
  for (const char* name : {"md0", "md1"})
    std::filesystem::create_directories(std::filesystem::path(initrd.path("block")) / name / "md");
  initrd.write("block/md0/md/array_state", "clean\n");
  initrd.write("block/md1/md/array_state", "inactive\n");
  initrd.write_program("udevadm", "#!/bin/sh\necho \"$1 $2 $3\" >>arrays\n");
  initrd.write_program("mdadm", "#!/bin/sh\necho \"$*\" >>arrays\n");
  // supervise looks for it for a minute.
  initrd.write_program("dumpwright",
                       "#!/bin/sh\necho \"$1\" >ran\nfor i in $(seq 600); do\n"
                       "grep -qs scan arrays && exit; [ -e raid ] || exit; sleep 0.1; done\n");
  initrd.put(kPremount, "script");
  const char* commands = "PATH=$PWD:$PATH; . ./script";
  SUBCASE("a target is on one") {
    initrd.write("raid", "");
    CHECK(initrd.sh(commands).status == 0);
    CHECK(initrd.text("arrays") ==
          "trigger --action=add --subsystem-match=block\n-q --run /dev/md1\n"
          "-q --assemble --scan --run\n");
  }
  SUBCASE("no target is on one") {
    CHECK(initrd.sh(commands).status == 0);
    CHECK(initrd.text("arrays").empty());
  }
  CHECK(initrd.text("ran") == "supervise\n");
  CHECK(initrd.text("sysrq") == "b\n");
}
