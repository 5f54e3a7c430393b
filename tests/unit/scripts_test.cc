#include "initrd-hooks/standalone/scripts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "initrd-hooks/standalone/progress.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr int64_t kLongMs = 60 * 1000;

size_t run(const TempDir& dir, const std::vector<std::string>& environment, int64_t limit_ms) {
  Log log(-1);
  Watchdog none(log, dir.path() + "/watchdog");
  return run_scripts(dir.path(), environment, limit_ms, none, log);
}

void make_script(const TempDir& dir, const std::string& name, const std::string& text,
                 mode_t mode = 0755) {
  write_file(dir.path() + "/" + name, "#!/bin/sh\n" + text);
  REQUIRE(::chmod((dir.path() + "/" + name).c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("scripts: all that are executable, in order, with the environment") {
  TempDir dir;
  std::string out = "\"$OUT\"\n";
  make_script(dir, "20-second", "echo \"second $OUTCOME\" >>" + out);
  make_script(dir, "10-first", "echo first >>" + out);
  make_script(dir, "30-data", "echo data >>" + out, 0644);
  make_script(dir, ".hidden", "echo hidden >>" + out);
  make_script(dir, "10-first~", "echo backup >>" + out);
  TempDir result;
  std::string file = result.path() + "/out";
  CHECK(run(dir, {"OUT=" + file, "OUTCOME=complete"}, kLongMs) == 0);
  CHECK(read_file(file) == "first\nsecond complete\n");
}

TEST_CASE("scripts: a folder that is not there is no failure") {
  TempDir dir;
  Log log(-1);
  Watchdog none(log, dir.path() + "/watchdog");
  CHECK(run_scripts(dir.path() + "/none", {}, kLongMs, none, log) == 0);
}

TEST_CASE(
    "scripts: one that fails, cannot be started or hangs does not keep the next from running") {
  TempDir dir;
  make_script(dir, "1-fails", "exit 3\n");
  make_script(dir, "2-hangs", "trap '' TERM; sleep 1000 & sleep 1000\n");
  make_script(dir, "3-dies", "kill -KILL $$\n");
  write_file(dir.path() + "/4-nothing", "#!/no/such/interpreter\n");
  REQUIRE(::chmod((dir.path() + "/4-nothing").c_str(), 0755) == 0);
  make_script(dir, "5-works", "echo done >\"$OUT\"\n");
  TempDir result;
  std::string file = result.path() + "/out";
  // Only the one that hangs needs as long as the limit; the others have ample time.
  int64_t start = shared_clock_ms();
  CHECK(run(dir, {"OUT=" + file}, 5000) == 4);
  CHECK(shared_clock_ms() - start >= 5000);
  CHECK(read_file(file) == "done\n");
}
