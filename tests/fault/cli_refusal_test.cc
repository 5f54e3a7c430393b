// A server that is lost in the middle of a dump and refuses logins when it is there again, as one
// that is still starting does.

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr const char* kRefuse = "DenyUsers root";

// So slow that the dump cannot be whole before somebody has looked at it.
constexpr int kMib = 24;
constexpr const char* kBytesPerSecond = "24000000";
constexpr int kAppearLimitMs = 60'000;

struct Stage {
  Stage() { large_crash(kMib).write_to(dir / "input"); }

  [[nodiscard]] std::string folder() const { return server.data() + "/dumps/" + kSmallName; }
  [[nodiscard]] Outcome capture(const std::string& retry_for) const {
    return run(
        dumpwright_arguments(
            {"capture", "-d0", "--compress", "none", "--source", dir / "input", "--retry-for",
             retry_for, "--ssh-key", server.key(), "--ssh-known-hosts", server.known_hosts_any(),
             "ssh://root@127.0.0.1:" + std::to_string(relay.port()) + server.data() + "/dumps"}),
        120'000);
  }
  // Ends the server when the dump can be seen; the next one refuses. That is either before or after
  // the program hears that the dump got its name.
  void lose() {
    for (int waited_ms = 0; waited_ms < kAppearLimitMs; waited_ms += 2) {
      if (std::filesystem::exists(folder() + "/vmcore.incomplete")) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    server.kill();
    server.restart({kRefuse});
  }

  TempDir dir;
  TestSshd server;
  ServerProcess relay{"relay", {"--to", std::to_string(server.port()), "--rate", kBytesPerSecond}};
};

}  // namespace

TEST_CASE("cli: a server that refuses logins for a while after it was lost gets the whole dump") {
  Stage stage;
  std::thread trouble([&] {
    stage.lose();
    std::this_thread::sleep_for(std::chrono::seconds(2));
    stage.server.stop();
    stage.server.restart({});
  });
  Outcome outcome = stage.capture("60");
  trouble.join();
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(outcome.err, "going on with an interrupted dump"));
  CHECK(dumpwright({"verify", stage.folder()}).status == 0);
}

TEST_CASE("cli: a server that refuses for ever keeps an incomplete dump, and that is said") {
  Stage stage;
  std::thread trouble([&] { stage.lose(); });
  Outcome outcome = stage.capture("2");
  trouble.join();
  CHECK_MESSAGE(outcome.status == 3, outcome.err);
  bool said = contains(outcome.err, "stays incomplete") ||
              contains(outcome.err, "may be there, incomplete");
  CHECK_MESSAGE(said, outcome.err);
  CHECK_FALSE(contains(outcome.err, "nothing was saved"));
  Outcome verified = dumpwright({"verify", stage.folder()});
  CHECK_MESSAGE(verified.status == 3, verified.err);
}
