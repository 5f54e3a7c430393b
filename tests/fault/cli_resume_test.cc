// The executable, run again on a target that holds part of its dump.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "capture/base/fd.h"
#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

std::string make_folder(const std::string& path) {
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  return path;
}

Outcome shell(const std::string& script) { return run({"/bin/bash", "-c", script}); }

// A crash of 12 MiB, the dump of which an undisturbed run writes to whole/.
struct Stage {
  explicit Stage(const std::string& options = "--compress none") {
    builder.write_to(dir / "input");
    REQUIRE(shell(command("whole", options)).status == 0);
    dump = read_file(folder("whole") + "/vmcore");
    sums = read_file(folder("whole") + "/vmcore.sums");
  }

  [[nodiscard]] std::string folder(const std::string& target, const char* suffix = "") const {
    return dir / target + "/" + kSmallName + suffix;
  }
  [[nodiscard]] std::string command(const std::string& target,
                                    const std::string& options = "--compress none") const {
    return dumpwright_arguments({})[0] + " capture -d1 " + options + " --source " +
           (dir / "input") + " " + (dir / target);
  }
  // Goes on with the dump in cut/, a disk with room for `kib` KiB of it.
  void interrupt(int kib = 6000) const {
    REQUIRE(shell("mount -o remount,size=" + std::to_string(kib) + "k " + (dir / "cut")).status ==
            0);
    Outcome outcome = shell(command("cut"));
    REQUIRE(shell("mount -o remount,size=100m " + (dir / "cut")).status == 0);
    INFO(outcome.err);
    REQUIRE(outcome.status == 3);
    check_dump(folder("cut") + "/vmcore.incomplete", pages, false);
  }
  void check_finished() const {
    CHECK((read_file(folder("cut") + "/vmcore") == dump));
    CHECK((read_file(folder("cut") + "/vmcore.sums") == sums));
    CHECK(::access((folder("cut") + "/vmcore.incomplete").c_str(), F_OK) != 0);
    CHECK(::access(folder("cut", "-2").c_str(), F_OK) != 0);
  }

  TempDir dir;
  std::string cut = make_folder(dir / "cut");
  SmallDisk disk{cut, "size=100m"};
  VmcoreBuilder builder = large_crash(12);
  std::vector<KnownPage> pages = known_pages(builder);
  std::string dump;
  std::string sums;
};

}  // namespace

TEST_CASE("cli: an interrupted dump is finished, with any number of threads") {
  if (!may_mount()) return;
  Stage stage;
  for (const char* options : {"--compress none", "--compress none --threads 1"}) {
    stage.interrupt();
    Outcome again = shell(stage.command("cut", options));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(contains(again.err, "going on with an interrupted dump: "));
    CHECK_FALSE(contains(again.err, "going on with an interrupted dump: 0 "));
    stage.check_finished();
    Outcome third = shell(stage.command("cut"));
    CHECK(third.status == 0);
    CHECK(contains(third.err, "holds this crash already"));
    REQUIRE(shell("rm -r " + stage.folder("cut") + "*").status == 0);
  }
}

TEST_CASE("cli: a dump that runs out of space again and again gets on") {
  if (!may_mount()) return;
  Stage stage;
  for (int kib : {3000, 6000, 6000, 9000}) stage.interrupt(kib);
  CHECK(shell(stage.command("cut")).status == 0);
  stage.check_finished();
}

TEST_CASE("cli: a dump goes on as it was begun, and says so") {
  if (!may_mount()) return;
  Stage stage;
  for (const char* options : {"--compress zstd:3", "--compress none -d 31", "--format stream"}) {
    CAPTURE(options);
    stage.interrupt();
    Outcome again = shell(stage.command("cut", options));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(contains(again.err, "was begun as kdump, none"));
    stage.check_finished();
    REQUIRE(shell("rm -r " + stage.folder("cut")).status == 0);
  }
}

TEST_CASE("cli: --resume never writes another one beside it") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt();
  std::string before = read_file(stage.folder("cut") + "/vmcore.incomplete");
  Outcome again = shell(stage.command("cut", "--compress none --resume never"));
  CHECK(again.status == 0);
  CHECK((read_file(stage.folder("cut") + "/vmcore.incomplete") == before));
  CHECK((read_file(stage.folder("cut", "-2") + "/vmcore") == stage.dump));
  Outcome third = shell(stage.command("cut"));
  CHECK(third.status == 0);
  CHECK(contains(third.err, "holds this crash already"));
  Outcome refused = shell(stage.command("cut", "--resume perhaps"));
  CHECK(refused.status == 2);
  CHECK(contains(refused.err, "--resume is auto or never"));
}

TEST_CASE("cli: a dump that cannot be continued stays as it is") {
  if (!may_mount()) return;
  Stage stage;
  struct Damage {
    const char* file;
    uint64_t at;
    const char* says;
  };
  // The journal's header, its list of head pieces, the dump's first bitmap.
  for (const Damage& damage : {Damage{"vmcore.sums", 40, "not whole; it stays"},
                               Damage{"vmcore.sums", 70, "cannot be continued"},
                               Damage{"vmcore.incomplete", 8200, "cannot be continued"}}) {
    CAPTURE(damage.file);
    stage.interrupt();
    std::string path = stage.folder("cut") + "/" + damage.file;
    std::string bytes = read_file(path);
    bytes[damage.at] ^= 1;
    write_file(path, bytes);
    std::string before = read_file(stage.folder("cut") + "/vmcore.incomplete");
    Outcome again = shell(stage.command("cut"));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK((read_file(stage.folder("cut") + "/vmcore.incomplete") == before));
    CHECK(contains(again.err, damage.says));
    CHECK((read_file(stage.folder("cut", "-2") + "/vmcore") == stage.dump));
    REQUIRE(shell("rm -r " + stage.folder("cut") + "*").status == 0);
  }
}

TEST_CASE("cli: two captures of a crash do not write to one dump") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt();
  std::string path = stage.folder("cut") + "/vmcore.incomplete";
  std::string before = read_file(path);
  Fd held = std::move(open_file(path.c_str(), O_RDWR).value());
  REQUIRE(::flock(held.get(), LOCK_EX | LOCK_NB) == 0);
  Outcome again = shell(stage.command("cut"));
  CHECK(again.status == 1);
  CHECK(contains(again.err, "another capture of this crash is running"));
  CHECK((read_file(path) == before));
  CHECK(::access(stage.folder("cut", "-2").c_str(), F_OK) != 0);
}

TEST_CASE("cli: memory that changed since a dump was interrupted") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt();
  // Another page of the crash is overwritten; what was saved of it before stays.
  std::string input = read_file(stage.dir / "input");
  for (size_t at = input.size() / 8; at < input.size(); at += input.size() / 8)
    input.replace(at, 16, 16, 'x');
  write_file(stage.dir / "input", input);
  Outcome again = shell(stage.command("cut"));
  INFO(again.err);
  CHECK(again.status == 0);
  std::string now = read_file(stage.folder("cut") + "/vmcore");
  REQUIRE(now.size() == stage.dump.size());
  size_t first = 0;
  while (first < now.size() && now[first] == stage.dump[first]) ++first;
  CHECK(first > 1000000);  // what was vouched for was not written again
  // Every page is the one that stood there at one time or the other.
  Outcome verified = dumpwright({"verify", stage.folder("cut")});
  INFO(verified.out);
  CHECK(verified.status == 0);
}

TEST_CASE("cli: a dump that is continued on a disk that is still full stays what it was") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt(9000);
  fill_disk(stage.cut + "/filler");
  Outcome again = shell(stage.command("cut"));
  INFO(again.err);
  CHECK(again.status == 3);
  check_dump(stage.folder("cut") + "/vmcore.incomplete", stage.pages, false);
  REQUIRE(::unlink((stage.cut + "/filler").c_str()) == 0);
  CHECK(shell(stage.command("cut")).status == 0);
  stage.check_finished();
}

TEST_CASE("cli: a second dump is continued where the first cannot be") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt();
  write_file(stage.folder("cut") + "/vmcore.sums", "nothing");
  stage.interrupt(16000);
  CHECK(::access(stage.folder("cut", "-2").c_str(), F_OK) == 0);
  CHECK(shell(stage.command("cut")).status == 0);
  CHECK((read_file(stage.folder("cut", "-2") + "/vmcore") == stage.dump));
  CHECK(::access(stage.folder("cut", "-3").c_str(), F_OK) != 0);
}

TEST_CASE("cli: a crash that is whole on the second target is not written to the first") {
  if (!may_mount()) return;
  Stage stage;
  stage.interrupt();
  std::string before = read_file(stage.folder("cut") + "/vmcore.incomplete");
  Outcome again = shell(stage.command("cut") + " " + (stage.dir / "whole"));
  CHECK(again.status == 0);
  CHECK((read_file(stage.folder("cut") + "/vmcore.incomplete") == before));
}

TEST_CASE("cli: a dump that lacked only its name gets it, and a report that says so") {
  if (!may_mount()) return;
  Stage stage;
  std::string folder = stage.folder("whole");
  std::string report = read_file(folder + "/vmcore.json");
  size_t at = report.find("\"complete\"");
  REQUIRE(at != std::string::npos);
  report.replace(at, 10, "\"saving\"");
  write_file(folder + "/vmcore.json", report);
  write_file(folder + "/vmcore.json.new", "spare");
  REQUIRE(::rename((folder + "/vmcore").c_str(), (folder + "/vmcore.incomplete").c_str()) == 0);
  Outcome verified = dumpwright({"verify", folder});
  CHECK(verified.status == 3);
  CHECK(shell(stage.command("whole")).status == 0);
  CHECK(dumpwright({"verify", folder}).status == 0);
  CHECK((read_file(folder + "/vmcore") == stage.dump));
  CHECK(contains(read_file(folder + "/vmcore.json"), "\"complete\""));
  CHECK(::access((folder + "/vmcore.json.new").c_str(), F_OK) != 0);
}

TEST_CASE("cli: a disk on which the dump may not fit gets what fits") {
  if (!may_mount()) return;
  Stage stage;
  REQUIRE(shell("mount -o remount,size=6000k " + stage.cut).status == 0);
  Outcome outcome = shell(stage.command("cut"));
  CHECK(outcome.status == 3);
  CHECK(contains(outcome.err, "MiB are free, and the dump may need up to"));
  CHECK(contains(read_file(stage.folder("cut") + "/vmcore.json"), "\"incomplete\""));
}
