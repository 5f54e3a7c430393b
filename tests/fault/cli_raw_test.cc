// The executable and a bare partition: saved to it, told of, verified, taken off, gone on with.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/fault/convert_support.h"
#include "tests/unit/support/json_check.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kDeviceKib = 24 << 10;

struct Kind {
  const char* file;
  std::vector<std::string> options;
};
const Kind kKinds[] = {{"vmcore", {}},
                       {"vmcore", {"--compress", "none"}},
                       {"vmcore.zst", {"--format", "stream"}},
                       {"vmcore.lz4", {"--format", "stream", "--compress", "lz4"}},
                       {"vmcore.elf", {"--format", "elf"}}};

// Full of what nobody may see.
struct Partition {
  LoopDevice device{kDeviceKib};
  std::string address = "raw:" + device.path();

  Partition() { device.set_content(std::string(device.bytes(), '\xA5')); }
};

std::string make_folder(const std::string& path) {
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  return path;
}

Outcome capture_to(const std::string& vmcore, const std::string& target,
                   std::vector<std::string> more = {}) {
  more.push_back(target);
  return capture(vmcore, more);
}

// But for the times that a report tells.
std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> files = tree_of(folder);
  std::erase(files, "vmcore.json");
  return files;
}

void check_same_files(const std::string& folder, const std::string& expected) {
  CHECK(tree_of(folder) == tree_of(expected));
  for (const std::string& file : files_of(expected)) {
    CAPTURE(file);
    CHECK((read_file(folder + "/" + file) == read_file(expected + "/" + file)));
  }
}

// Killed a little later each time, until part of the dump is there.
bool kill_in_the_middle(const Partition& partition, const std::vector<std::string>& command) {
  for (int round = 0; round < 10; ++round) {
    partition.device.set_content(std::string(partition.device.bytes(), '\xA5'));
    for (int after_us = 2000 + 700 * round; after_us < 10'000'000; after_us = after_us * 6 / 5) {
      run_and_kill(dumpwright_arguments(command), after_us);
      Outcome told = dumpwright({"info", partition.address});
      if (told.status != 0) continue;
      if (contains(told.out, ".incomplete: ")) return true;
      break;  // whole
    }
  }
  return false;
}

}  // namespace

TEST_CASE("cli raw: what is taken off a partition is what a directory would have got") {
  if (!may_mount()) return;
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.file);
    Partition partition;
    TempDir dir;
    large_crash(3).write_to(dir / "input");
    Outcome saved = capture_to(dir / "input", partition.address, kind.options);
    CHECK_MESSAGE(saved.status == 0, saved.err);
    CHECK(contains(saved.err, partition.device.path() + ":" + kSmallName + "/" + kind.file));
    REQUIRE(capture_to(dir / "input", dir / "expected", kind.options).status == 0);

    Outcome verified = dumpwright({"verify", partition.address});
    CHECK_MESSAGE(verified.status == 0, (verified.out + verified.err));
    CHECK_FALSE(contains(verified.out, "note:"));
    Outcome told = dumpwright({"info", partition.address});
    CHECK(told.status == 0);
    CHECK(contains(told.out, "not taken off yet"));
    CHECK(contains(told.out, "; ended"));
    CHECK(is_json(dumpwright({"info", "--json", partition.address}).out));

    make_folder(dir / "out");
    Outcome taken = dumpwright({"convert", partition.address, dir / "out"});
    CHECK_MESSAGE(taken.status == 0, taken.err);
    check_same_files(dir / "out/" + kSmallName, dir / "expected/" + kSmallName);
    CHECK(contains(read_file(dir / "out/" + kSmallName + "/vmcore.json"), "\"complete\""));
    CHECK(dumpwright({"verify", dir / "out/" + kSmallName}).status == 0);
    CHECK(contains(dumpwright({"info", partition.address}).out, "taken off: the next crash"));

    CHECK(dumpwright({"convert", partition.address, dir / "file"}).status == 0);
    CHECK((read_file(dir / "file") == read_file(dir / "expected/" + kSmallName + "/" + kind.file)));
    Outcome again = dumpwright({"convert", partition.address, dir / "out"});
    CHECK(again.status == 1);
    CHECK(contains(again.err, "the dump exists"));
    CHECK(dumpwright({"convert", partition.address, dir / "file"}).status == 1);
  }
}

TEST_CASE("cli raw: a dump on a partition is converted like a file") {
  if (!may_mount()) return;
  Partition partition;
  TempDir dir;
  large_crash(3).write_to(dir / "input");
  REQUIRE(capture_to(dir / "input", partition.address, {"--format", "stream"}).status == 0);
  REQUIRE(capture_to(dir / "input", dir / "dumps", {"--format", "stream"}).status == 0);
  for (const char* format : {"kdump", "elf"}) {
    for (const auto& [in, out] :
         {std::pair(partition.address, "raw"), {dir / "dumps/" + kSmallName, "file"}})
      REQUIRE(dumpwright({"convert", "--format", format, in, dir / out}).status == 0);
    CHECK((read_file(dir / "raw") == read_file(dir / "file")));
    for (const char* out : {"raw", "file"}) ::unlink((dir / out).c_str());
  }
  CHECK(contains(dumpwright({"info", partition.address}).out, "taken off: the next crash"));
  make_folder(dir / "out");
  Outcome refused = dumpwright({"convert", "--format", "kdump", partition.address, dir / "out"});
  CHECK(refused.status == 1);
  CHECK(contains(refused.err, "the file exists"));
}

TEST_CASE("cli raw: one crash after the other") {
  if (!may_mount()) return;
  Partition partition;
  TempDir dir;
  small_crash().write_to(dir / "first");
  small_crash("web-2").write_to(dir / "second");
  Outcome nothing = dumpwright({"convert", partition.address, dir / "out"});
  CHECK(nothing.status == 1);
  CHECK(contains(nothing.err, "no dump of dumpwright is on this partition; "));
  for (const char* command : {"info", "verify"})
    CHECK(dumpwright({command, partition.address}).status == 1);

  REQUIRE(capture_to(dir / "first", partition.address).status == 0);
  std::string before = partition.device.content();
  Outcome again = capture_to(dir / "first", partition.address);
  CHECK(again.status == 0);
  CHECK(contains(again.err, "holds this crash already"));
  Outcome refused = capture_to(dir / "second", partition.address);
  CHECK(refused.status == 1);
  CHECK(contains(refused.err, "was not taken off yet"));
  CHECK((partition.device.content() == before));
  // The next target gets it.
  CHECK(capture(dir / "second", {partition.address, dir / "dumps"}).status == 0);
  CHECK_FALSE(tree_of(dir / "dumps").empty());

  REQUIRE(dumpwright({"convert", partition.address, dir / "out"}).status == 0);
  Outcome over = capture_to(dir / "second", partition.address);
  CHECK(over.status == 0);
  CHECK(contains(over.err, std::string(kSmallName) + "/vmcore is overwritten with this crash"));
  CHECK(contains(dumpwright({"info", partition.address}).out, "not taken off yet"));
  CHECK(capture_to(dir / "first", partition.address + "?overwrite=yes").status == 0);
  check_dump(dir / "out", known_pages(small_crash()), true);
}

TEST_CASE("cli raw: an interrupted dump is taken off as it is, and gone on with") {
  if (!may_mount()) return;
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.file);
    Partition partition;
    TempDir dir;
    VmcoreBuilder crash = large_crash(12);
    crash.write_to(dir / "input");
    REQUIRE(capture_to(dir / "input", dir / "expected", kind.options).status == 0);
    std::vector<std::string> command = {"capture", "-d", "1", "--source", dir / "input"};
    command.insert(command.end(), kind.options.begin(), kind.options.end());
    command.push_back(partition.address);
    REQUIRE(kill_in_the_middle(partition, command));
    make_folder(dir / "out");
    Outcome taken = dumpwright({"convert", partition.address, dir / "out"});
    CHECK_MESSAGE(taken.status == 3, taken.err);
    std::string file = dir / "out/" + kSmallName + "/" + kind.file + ".incomplete";
    CHECK(::access(file.c_str(), F_OK) == 0);
    CHECK(contains(dumpwright({"info", partition.address}).out, "not taken off yet"));
    for (const std::string& dump : {partition.address, dir / "out/" + kSmallName})
      CHECK(dumpwright({"verify", dump}).status == 3);
    CHECK(dumpwright({"convert", partition.address, dir / "file"}).status == 3);

    Outcome finished = capture_to(dir / "input", partition.address, kind.options);
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(contains(finished.err, "going on with an interrupted dump"));
    make_folder(dir / "whole");
    CHECK(dumpwright({"convert", partition.address, dir / "whole"}).status == 0);
    check_same_files(dir / "whole/" + kSmallName, dir / "expected/" + kSmallName);
  }
}

TEST_CASE("cli raw: a partition that is too small gets what fits, or nothing") {
  if (!may_mount()) return;
  TempDir dir;
  VmcoreBuilder crash = large_crash(12);
  crash.write_to(dir / "input");
  LoopDevice device(8 << 10);
  std::string address = "raw:" + device.path();
  Outcome part = capture_to(dir / "input", address, {"--compress", "none"});
  CHECK_MESSAGE(part.status == 3, part.err);
  CHECK(contains(part.err, "the partition is full"));
  CHECK(dumpwright({"verify", address}).status == 3);
  CHECK(dumpwright({"convert", address, dir / "out"}).status == 3);
  check_dump(dir / "out", known_pages(crash), false);
  Outcome elf = capture_to(dir / "input", address + "?overwrite=yes", {"--format", "elf"});
  CHECK(elf.status != 0);
}
