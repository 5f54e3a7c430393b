// Several targets: each hears of the crash, and the report says which failed and why.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Stage {
  Stage() { small_crash().write_to(dir / "input"); }

  [[nodiscard]] Outcome capture_to(std::vector<std::string> targets) const {
    std::vector<std::string> arguments = {"capture", "-d0", "--source", dir / "input"};
    arguments.insert(arguments.end(), targets.begin(), targets.end());
    return run(dumpwright_arguments(arguments));
  }
  [[nodiscard]] std::string report(const std::string& target) const {
    return read_file(dir / target + "/" + kSmallName + "/vmcore.json");
  }

  TempDir dir;
};

}  // namespace

TEST_CASE("cli: every target hears of the crash; one has the dump") {
  Stage stage;
  Outcome outcome = stage.capture_to({stage.dir / "one", stage.dir / "two", stage.dir / "three"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(stage.report("one"), "\"state\": \"complete\""));
  for (const char* other : {"two", "three"}) {
    CAPTURE(other);
    std::string folder = stage.dir / other + "/" + kSmallName;
    CHECK(contains(stage.report(other), "\"state\": \"saved elsewhere\""));
    CHECK(contains(stage.report(other), "\"saved_to\": \"" + (stage.dir / "one")));
    CHECK_FALSE(std::filesystem::exists(folder + "/vmcore"));
    struct stat status {};
    REQUIRE(::stat((folder + "/vmcore.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    REQUIRE(::stat(folder.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
  }
}

TEST_CASE("cli: the report says which targets failed, and why") {
  Stage stage;
  write_file(stage.dir / "file", "precious");
  Outcome outcome = stage.capture_to({stage.dir / "file", stage.dir / "good"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(outcome.err, "no report to " + (stage.dir / "file") + " yet"));
  CHECK(contains(stage.report("good"),
                 "\"failed_targets\": [{\"target\": \"" + (stage.dir / "file")));
  CHECK(contains(stage.report("good"), "Not a directory"));
  CHECK(read_file(stage.dir / "file") == "precious");
}

TEST_CASE("cli: a full target is left with what landed, and the next one's report says so") {
  if (!may_mount()) return;
  Stage stage;
  large_crash(24).write_to(stage.dir / "input");
  std::string full = stage.dir / "full";
  std::filesystem::create_directory(full);
  SmallDisk disk(full, "size=8m");
  std::vector<std::string> arguments = {
      "capture",           "-d0", "--compress",      "none", "--source",
      stage.dir / "input", full,  stage.dir / "good"};
  Outcome outcome = run(dumpwright_arguments(arguments));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(std::filesystem::exists(full + "/" + kSmallName + "/vmcore.incomplete"));
  CHECK(contains(stage.report("good"), "\"state\": \"complete\""));
  CHECK(contains(stage.report("good"), "No space left"));
  CHECK(contains(read_file(full + "/" + kSmallName + "/vmcore.json"), "\"state\": \"incomplete\""));
}

TEST_CASE("cli: with a dump on a later target nothing is written to those before it") {
  Stage stage;
  REQUIRE(stage.capture_to({stage.dir / "two"}).status == 0);
  Outcome outcome = stage.capture_to({stage.dir / "one", stage.dir / "two"});
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.err, "holds this crash already"));
  CHECK_FALSE(std::filesystem::exists(stage.dir / "one/" + kSmallName + "/vmcore"));
  CHECK(contains(stage.report("two"), "\"state\": \"complete\""));
}

TEST_CASE("cli: an interrupted dump keeps its report until it is gone on with") {
  if (!may_mount()) return;
  Stage stage;
  large_crash(24).write_to(stage.dir / "input");
  std::string small = stage.dir / "small";
  std::filesystem::create_directory(small);
  std::vector<std::string> arguments = {
      "capture", "-d0", "--compress", "none", "--source", stage.dir / "input", stage.dir / "copy"};
  {
    SmallDisk disk(small, "size=8m");
    arguments.back() = small;
    REQUIRE(run(dumpwright_arguments(arguments)).status == 3);
    std::filesystem::copy(small, stage.dir / "copy", std::filesystem::copy_options::recursive);
  }
  arguments.back() = stage.dir / "copy";
  arguments.push_back(stage.dir / "other");
  Outcome outcome = run(dumpwright_arguments(arguments));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(outcome.err, "going on with an interrupted dump"));
  CHECK_FALSE(std::filesystem::exists(stage.dir / "copy/" + kSmallName + "-2"));
  CHECK(contains(stage.report("copy"), "\"state\": \"complete\""));
  CHECK(contains(stage.report("other"), "\"state\": \"saved elsewhere\""));
}
