// The executable when its surroundings fail: a disk that loses writes, a console that is gone or
// stuck, too little memory, and dumps that are not what their names say.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Stage {
  explicit Stage(const VmcoreBuilder& builder = small_crash()) : pages(known_pages(builder)) {
    builder.write_to(dir / "input");
  }
  [[nodiscard]] std::string folder(const std::string& suffix = "") const {
    return dir / "dumps/" + kSmallName + suffix;
  }
  [[nodiscard]] std::string command(const std::string& options = "") const {
    return dumpwright_arguments({})[0] + " capture -d1 --compress none " + options + " --source " +
           (dir / "input") + " " + (dir / "dumps");
  }

  TempDir dir;
  std::vector<KnownPage> pages;
};

Outcome shell(const std::string& script) { return run({"/bin/bash", "-c", script}); }

}  // namespace

TEST_CASE("cli: a disk that loses written data: never called complete") {
  if (!may_mount()) return;
  Stage stage(large_crash(64));
  TempDir backing;
  SmallDisk tmpfs(backing.path(), "size=100m");
  // An ext4 in a file of a file system that is full to the last byte, with a hole of 4 MiB in the
  // file: writes there succeed and are lost on their way to the disk, all others are not.
  std::string image = backing.path() + "/image";
  std::string fill = "dd if=/dev/zero of=" + backing.path() + "/filler bs=64k oflag=append " +
                     "conv=notrunc status=none 2>/dev/null || true";
  std::string dumps = stage.dir / "dumps";
  Outcome made = shell("set -e; fallocate -l 96M " + image +
                       "; mke2fs -q -t ext4 -O ^has_journal -E nodiscard,lazy_itable_init=0 " +
                       image + "; " + fill + "; fallocate -p -o 40M -l 4M " + image + "; " + fill +
                       "; mkdir " + dumps + "; mount -o loop " + image + " " + dumps);
  REQUIRE_MESSAGE(made.status == 0, made.err);
  Outcome outcome = shell(stage.command());
  struct stat status;
  bool sealed = ::stat((stage.folder() + "/vmcore").c_str(), &status) == 0;
  Outcome unmounted = shell("umount " + dumps);
  INFO(outcome.err);
  CHECK(unmounted.status == 0);
  CHECK((outcome.status == 1 || outcome.status == 3));
  CHECK_FALSE(sealed);
}

TEST_CASE("cli: stderr goes away in the middle") {
  Stage stage;
  Outcome outcome =
      shell("(" + stage.command() + "; echo $? > " + (stage.dir / "status") + ") 2>&1 | true");
  CHECK_FALSE(outcome.timed_out);
  CHECK(read_file(stage.dir / "status") == "0\n");
  check_dump(stage.folder() + "/vmcore", stage.pages, true);
}

TEST_CASE("cli: stderr that nobody reads from holds nothing up") {
  Stage stage;
  std::string fifo = stage.dir / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  int keep = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(keep >= 0);
  std::string page(4096, 'x');
  while (::write(keep, page.data(), page.size()) > 0) {
  }
  Outcome outcome = shell(stage.command() + " 2> " + fifo);
  ::close(keep);
  CHECK_FALSE(outcome.timed_out);
  CHECK(outcome.status == 0);
  check_dump(stage.folder() + "/vmcore", stage.pages, true);
}

TEST_CASE("cli: with little memory the dump is whole, or nothing is saved") {
  Stage stage(large_crash(4));
  unsigned whole = 0;
  for (unsigned kib = 16000; kib <= 112000; kib += 8000) {
    CAPTURE(kib);
    Outcome outcome = shell("ulimit -v " + std::to_string(kib) + "; rm -rf " +
                            (stage.dir / "dumps") + "; exec " + stage.command("--threads 8"));
    INFO(outcome.err);
    CHECK_FALSE(outcome.timed_out);
    bool complete = outcome.status == 0;
    if (complete) check_dump(stage.folder() + "/vmcore", stage.pages, true);
    // A sanitizer's or loader's own memory may not fit either: then nothing ran.
    CHECK(outcome.status != 3);
    whole += complete ? 1 : 0;
  }
  MESSAGE("whole dumps: " << whole);
}

TEST_CASE("cli: a sealed dump that was cut is not taken for the crash's dump") {
  Stage stage;
  REQUIRE(shell(stage.command()).status == 0);
  std::string first = stage.folder() + "/vmcore";
  struct stat status;
  REQUIRE(::stat(first.c_str(), &status) == 0);
  REQUIRE(::truncate(first.c_str(), status.st_size - 5000) == 0);
  Outcome again = shell(stage.command());
  CHECK(again.status == 0);
  CHECK(contains(again.err, "not whole"));
  check_dump(stage.folder("-2") + "/vmcore", stage.pages, true);
}

TEST_CASE("cli: a regular file where the dump's folder should be") {
  Stage stage;
  REQUIRE(shell("mkdir " + (stage.dir / "dumps")).status == 0);
  write_file(stage.folder(), "precious");
  CHECK(shell(stage.command()).status == 0);
  CHECK(read_file(stage.folder()) == "precious");
  check_dump(stage.folder("-2") + "/vmcore", stage.pages, true);
}

TEST_CASE("cli: the host name can be given") {
  Stage stage;
  CHECK(shell(stage.command("--hostname other")).status == 0);
  check_dump(stage.dir / "dumps/other-20231114T221320Z/vmcore", stage.pages, true);
}
