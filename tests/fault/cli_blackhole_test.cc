// A network that drops large packets without a word (tests/servers/blackhole). Small ones pass: the
// connection is made, and the first write hangs.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Stage {
  Stage() { large_crash(4).write_to(dir / "input"); }

  [[nodiscard]] Outcome capture(const std::string& probing) const {
    std::vector<std::string> arguments = {DUMPWRIGHT_TESTS "/servers/blackhole", dir / "server",
                                          probing};
    for (const std::string& word : dumpwright_arguments(
             {"capture", "-d1", "--compress", "none", "--source", dir / "input", "--retry-for", "4",
              "--connect-timeout", "10", "--reply-timeout", "8", "--ssh-key",
              dir / "server/client_key", "--ssh-known-hosts", dir / "server/known_hosts.any",
              "ssh://root@10.2.0.2:2222" + dir.path() + "/server/data", dir / "next"}))
      arguments.push_back(word);
    Outcome outcome = run(arguments, 120'000);
    CHECK_FALSE(outcome.timed_out);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    return outcome;
  }
  [[nodiscard]] int verified(const std::string& target) const {
    return dumpwright({"verify", dir / target + "/" + kSmallName}).status;
  }
  [[nodiscard]] std::string report(const std::string& target) const {
    return read_file(dir / target + "/" + kSmallName + "/vmcore.json");
  }

  TempDir dir;
};

}  // namespace

TEST_CASE("network: large packets vanish: TCP that probes gets the dump through") {
  if (!may_mount()) return;
  Stage stage;
  Outcome outcome = stage.capture("1");
  CHECK_MESSAGE(stage.verified("server/data") == 0, outcome.err);
  CHECK(contains(stage.report("next"), "\"state\": \"saved elsewhere\""));
}

TEST_CASE("network: large packets vanish: without probing the next target has it in time") {
  if (!may_mount()) return;
  Stage stage;
  Outcome outcome = stage.capture("0");
  CHECK_MESSAGE(stage.verified("next") == 0, outcome.err);
  CHECK(contains(stage.report("next"), "does not answer any more"));
  CHECK(stage.verified("server/data") != 0);
}
