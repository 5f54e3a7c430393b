// What a server does not promise is said, and stands in the report.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

TEST_CASE(
    "cli: a server without fsync and posix-rename gets the dump, and the report says what that "
    "means") {
  TempDir dir;
  small_crash().write_to(dir / "input");
  for (bool able : {true, false}) {
    CAPTURE(able);
    TestSshd sshd(able ? std::vector<std::string>{}
                       : std::vector<std::string>{
                             "Subsystem sftp /usr/lib/openssh/sftp-server -P fsync,posix-rename"});
    Outcome outcome = run(dumpwright_arguments(
        {"capture", "-d0", "--source", dir / "input", "--ssh-key", sshd.key(), "--ssh-known-hosts",
         sshd.known_hosts(),
         "ssh://root@127.0.0.1:" + std::to_string(sshd.port()) + sshd.data() + "/dumps"}));
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(contains(outcome.err, "cannot be told to keep") == !able);
    std::string folder = sshd.data() + "/dumps/" + kSmallName;
    CHECK(contains(read_file(folder + "/vmcore.json"), "\"durable\": false") == !able);
    CHECK(contains(outcome.err, "cannot replace a file in one step") == !able);
    CHECK(contains(read_file(folder + "/vmcore.json"), "\"replaces_safely\": false") == !able);
    CHECK(dumpwright({"verify", folder}).status == 0);
  }
}
