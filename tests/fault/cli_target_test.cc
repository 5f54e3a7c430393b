// The executable and targets that cannot take a dump, and what it leaves behind.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

// A vmcore on disk, beside the targets of a test.
struct Stage {
  explicit Stage(const VmcoreBuilder& builder = small_crash()) : pages(known_pages(builder)) {
    builder.write_to(dir / "input");
  }
  [[nodiscard]] std::string input() const { return dir / "input"; }
  [[nodiscard]] std::string dump(const std::string& target,
                                 const std::string& file = "vmcore") const {
    return dir / target + "/" + kSmallName + "/" + file;
  }

  TempDir dir;
  std::vector<KnownPage> pages;
};

bool has(const std::vector<std::string>& tree, const std::string& name) {
  for (const std::string& entry : tree)
    if (entry == name) return true;
  return false;
}

// How many pages a report says are there.
uint64_t reported_pages(const std::string& report) {
  std::string text = read_file(report);
  size_t at = text.find("\"saved_pages\"");
  REQUIRE(at != text.npos);
  unsigned long long stored = 0;
  unsigned long long shared = 0;
  unsigned long long zero = 0;
  REQUIRE(std::sscanf(text.c_str() + at,
                      "\"saved_pages\": {\"stored\": %llu, \"shared\": %llu, \"zero\": %llu,",
                      &stored, &shared, &zero) == 3);
  return stored + shared + zero;
}

// An empty folder with a tmpfs of `options` on it.
struct Disk {
  explicit Disk(const std::string& options) : mount(dir.path(), options) {}

  TempDir dir;
  SmallDisk mount;
};

}  // namespace

TEST_CASE("cli: a capture saves everything under the crash's name") {
  Stage stage;
  Outcome outcome = capture(stage.input(), {stage.dir / "dumps"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out.empty());
  check_dump(stage.dump("dumps"), stage.pages, true);
  CHECK_FALSE(has(stage.dir.tree(), std::string("dumps/") + kSmallName + "/vmcore.new"));
}

TEST_CASE("cli: the same bytes for any number of threads") {
  Stage stage(large_crash(3));
  std::string expected;
  for (const char* threads : {"1", "2", "3", "8"}) {
    std::string target = std::string("threads-") + threads;
    CHECK(capture(stage.input(), {"--threads", threads, stage.dir / target}).status == 0);
    std::string dump = read_file(stage.dump(target));
    if (expected.empty()) expected = dump;
    CHECK((dump == expected));
  }
}

TEST_CASE("cli: the same crash again: nothing is written") {
  Stage stage;
  REQUIRE(capture(stage.input(), {stage.dir / "dumps"}).status == 0);
  std::string before = read_file(stage.dump("dumps"));
  std::vector<std::string> tree = stage.dir.tree();
  Outcome again = capture(stage.input(), {stage.dir / "dumps"});
  CHECK(again.status == 0);
  CHECK(contains(again.err, "holds this crash already"));
  CHECK(stage.dir.tree() == tree);
  CHECK((read_file(stage.dump("dumps")) == before));
}

TEST_CASE("cli: another crash of that name is saved beside it, and nothing is overwritten") {
  Stage stage;
  REQUIRE(capture(stage.input(), {stage.dir / "dumps"}).status == 0);
  std::string before = read_file(stage.dump("dumps"));
  VmcoreBuilder other = small_crash();
  other.add_prstatus(4711).write_to(stage.dir / "other");
  CHECK(capture(stage.dir / "other", {stage.dir / "dumps"}).status == 0);
  CHECK((read_file(stage.dump("dumps")) == before));
  check_dump(stage.dir / "dumps/" + kSmallName + "-2/vmcore", known_pages(other), true);
}

TEST_CASE("cli: a file of that name that is no dump is left alone") {
  Stage stage;
  std::string folder = stage.dir / "dumps/" + kSmallName;
  REQUIRE(run({"/bin/mkdir", "-p", folder}).status == 0);
  write_file(folder + "/vmcore", "precious");
  CHECK(capture(stage.input(), {stage.dir / "dumps"}).status == 0);
  CHECK(read_file(folder + "/vmcore") == "precious");
  check_dump(folder + "-2/vmcore", stage.pages, true);
}

TEST_CASE("cli: a target that is a regular file") {
  Stage stage;
  write_file(stage.dir / "file", "precious");
  check_refused(capture(stage.input(), {stage.dir / "file"}), stage.dir / "file",
                "Not a directory; the target must be a directory");
  check_refused(capture(stage.input(), {stage.dir / "file/deeper"}), stage.dir / "file",
                "Not a directory; the target must be a directory");
  CHECK(read_file(stage.dir / "file") == "precious");
}

TEST_CASE("cli: a target that is read-only") {
  if (!may_mount()) return;
  Stage stage;
  Disk disk("size=1m");
  disk.mount.make_read_only();
  check_refused(capture(stage.input(), {disk.dir.path()}), disk.dir.path(),
                "Read-only file system; mount it read-write or name another target");
  CHECK(disk.dir.tree().empty());
}

TEST_CASE("cli: a target that is full before the dump can be opened: nothing is left") {
  if (!may_mount()) return;
  Stage stage;
  for (const char* options : {"size=4k", "size=16k", "size=24k", "nr_inodes=2"}) {
    CAPTURE(options);
    Disk disk(options);
    check_refused(capture(stage.input(), {disk.dir.path()}), disk.dir.path(),
                  "No space left on device; free some space there or name another target");
    CHECK(disk.dir.tree().empty());
  }
}

TEST_CASE("cli: a target that is full later: what landed opens, at every size") {
  if (!may_mount()) return;
  Stage stage(large_crash(2));
  uint64_t most = 0;
  uint64_t least = stage.pages.size();
  unsigned nothing = 0;
  for (unsigned kib = 16; kib < 2048; kib += kib < 256 ? 16 : 128) {
    CAPTURE(kib);
    Disk disk("size=" + std::to_string(kib) + "k");
    Outcome outcome = capture(stage.input(), {disk.dir.path()});
    INFO(outcome.err);
    CHECK(contains(outcome.err, "No space left on device; free some space there"));
    if (outcome.status == 1) {
      ++nothing;
      CHECK(disk.dir.tree().empty());
      continue;
    }
    CHECK(outcome.status == 3);
    std::string folder = disk.dir / kSmallName;
    CHECK_FALSE(has(tree_of(folder), "vmcore"));
    CHECK_FALSE(has(tree_of(folder), "vmcore.new"));
    uint64_t right = check_dump(folder + "/vmcore.incomplete", stage.pages, false).right;
    CHECK(reported_pages(folder + "/vmcore.json") == right);
    CHECK(contains(outcome.err, right > 0
                                    ? "is incomplete: the target failed; what landed can be read"
                                    : "is incomplete: the target failed; it has no page"));
    most = std::max(most, right);
    least = std::min(least, right);
    CHECK(dumpwright({"info", folder}).status == 0);
  }
  CHECK(nothing > 0);
  CHECK(most > stage.pages.size() / 2);
  CHECK(least == 0);
}

TEST_CASE("cli: the first target full, the second good: complete") {
  if (!may_mount()) return;
  Stage stage(large_crash(1));
  for (const char* options : {"size=16k", "size=512k"}) {
    Disk disk(options);
    std::string target = std::string("dumps-") + options;
    Outcome outcome = capture(stage.input(), {disk.dir.path(), stage.dir / target});
    CHECK(outcome.status == 0);
    CHECK(contains(outcome.err, "No space left on device"));
    check_dump(stage.dump(target), stage.pages, true);
  }
}

TEST_CASE("cli: of several bad targets each is named") {
  Stage stage;
  write_file(stage.dir / "one", "");
  write_file(stage.dir / "two", "");
  Outcome outcome = capture(stage.input(), {stage.dir / "one", stage.dir / "two"});
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.err, stage.dir / "one: "));
  CHECK(contains(outcome.err, stage.dir / "two: "));
  CHECK(contains(outcome.err, "nothing was saved"));
}

TEST_CASE("cli: a run that was cut off while staging leaves nothing in the way") {
  Stage stage;
  std::string folder = stage.dir / "dumps/" + kSmallName;
  REQUIRE(run({"/bin/mkdir", "-p", folder}).status == 0);
  write_file(folder + "/vmcore.new", std::string(100000, 'x'));
  CHECK(capture(stage.input(), {stage.dir / "dumps"}).status == 0);
  check_dump(stage.dump("dumps"), stage.pages, true);
  CHECK_FALSE(has(tree_of(folder), "vmcore.new"));
}
