// The executable, run again on a target that holds part of a stream or of an ELF core.

#include <doctest/doctest.h>
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

struct Way {
  const char* options;
  const char* file;
};

Outcome shell(const std::string& script) { return run({"/bin/bash", "-c", script}); }

}  // namespace

TEST_CASE("cli: interrupted streams and ELF cores are finished") {
  if (!may_mount()) return;
  TempDir dir;
  large_crash(12).write_to(dir / "input");
  REQUIRE(::mkdir((dir / "cut").c_str(), 0700) == 0);
  SmallDisk disk(dir / "cut", "size=100m");
  auto command = [&dir](const Way& way, const char* target) {
    return dumpwright_arguments({})[0] + " capture -d1 " + way.options + " --source " +
           (dir / "input") + " " + (dir / target);
  };
  auto resize = [&dir](const char* size) {
    REQUIRE(shell(std::string("mount -o remount,size=") + size + " " + (dir / "cut")).status == 0);
  };
  for (const Way& way :
       {Way{"--format stream --compress zstd", "vmcore.zst"},
        Way{"--format stream --compress lz4", "vmcore.lz4"},
        Way{"--format stream --compress none", "vmcore.zst"}, Way{"--format elf", "vmcore.elf"}}) {
    CAPTURE(std::string(way.options));
    REQUIRE(shell(command(way, "whole")).status == 0);
    std::string whole = dir / "whole/" + kSmallName + "/";
    std::string cut = dir / "cut/" + kSmallName + "/";
    resize("6000k");
    Outcome full = shell(command(way, "cut"));
    INFO(full.err);
    REQUIRE(full.status == 3);
    CHECK(::access((cut + way.file + ".incomplete").c_str(), F_OK) == 0);
    resize("100m");
    Outcome again = shell(command(way, "cut"));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(contains(again.err, "going on with an interrupted dump: "));
    CHECK_FALSE(contains(again.err, "going on with an interrupted dump: 0 "));
    for (const char* file : {way.file, "vmcore.sums"})
      CHECK((read_file(cut + file) == read_file(whole + file)));
    CHECK(::access((cut + way.file + ".incomplete").c_str(), F_OK) != 0);
    CHECK(contains(shell(command(way, "cut")).err, "holds this crash already"));
    REQUIRE(shell("rm -r " + whole + " " + cut).status == 0);
  }
}
