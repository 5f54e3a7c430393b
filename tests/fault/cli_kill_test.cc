// The executable, killed at any moment: what is there opens, and the next run finishes it.

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

std::vector<std::string> capture_arguments(const TempDir& dir) {
  return dumpwright_arguments(
      {"capture", "-d1", "--threads", "2", "--source", dir / "input", dir / "dumps"});
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// What the killed run left may be nothing, a staged file or an incomplete dump that opens.
bool check_remains(const TempDir& dir, const std::vector<KnownPage>& pages) {
  std::string folder = dir / "dumps/" + kSmallName;
  CHECK_FALSE(exists(folder + "/vmcore"));
  std::string incomplete = folder + "/vmcore.incomplete";
  if (!exists(incomplete)) return false;
  Outcome info = dumpwright({"info", folder});
  CHECK(info.status == 0);
  check_dump(incomplete, pages, false);
  return true;
}

}  // namespace

TEST_CASE("cli: killed at many moments") {
  VmcoreBuilder builder = large_crash(12);
  std::vector<KnownPage> pages = known_pages(builder);
  TempDir undisturbed;
  builder.write_to(undisturbed / "input");
  REQUIRE(run(capture_arguments(undisturbed)).status == 0);
  const std::string whole = read_file(undisturbed / "dumps/" + kSmallName + "/vmcore");
  unsigned killed = 0;
  unsigned opened = 0;
  for (int after_us = 500; after_us < 400000; after_us = after_us * 5 / 4 + 500) {
    CAPTURE(after_us);
    TempDir dir;
    builder.write_to(dir / "input");
    Outcome outcome = run_and_kill(capture_arguments(dir), after_us);
    if (!outcome.timed_out) {
      CHECK(outcome.status == 0);
      break;
    }
    ++killed;
    std::string folder = dir / "dumps/" + kSmallName;
    // It may have sealed the dump just before it was killed.
    if (exists(folder + "/vmcore")) {
      check_dump(folder + "/vmcore", pages, true);
      continue;
    }
    bool published = check_remains(dir, pages);
    if (published) ++opened;
    if (!published && killed % 4 != 0) continue;
    CHECK(run(capture_arguments(dir)).status == 0);
    check_dump(folder + "/vmcore", pages, true);
    CHECK_FALSE(exists(folder + "-2"));
    CHECK_FALSE(exists(folder + "/vmcore.incomplete"));
    CHECK((read_file(folder + "/vmcore") == whole));
  }
  CHECK(killed > 3);
  MESSAGE("killed " << killed << " times; " << opened << " incomplete dumps opened");
}
