// The servers that other tests rely on: they start, end with all that they started, and come back.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "capture/base/fd.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

bool takes_connections(uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Outcome log_in(const TestSshd& server) {
  return run({"/usr/bin/ssh", "-F", "none", "-o", "BatchMode=yes", "-o",
              "UserKnownHostsFile=" + server.known_hosts(), "-i", server.key(), "-p",
              std::to_string(server.port()), "root@127.0.0.1", "echo hello"});
}

}  // namespace

TEST_CASE("test servers: sshd logs in, ends, and is the same one when it is started again") {
  TimeLimit limit(60);
  TestSshd server;
  CHECK(log_in(server).out == "hello\n");
  uint16_t port = server.port();

  server.kill();
  server.restart();
  CHECK(server.port() == port);
  Outcome again = log_in(server);
  CHECK_MESSAGE(again.out == "hello\n", again.err);

  server.stop();
  CHECK_FALSE(takes_connections(port));
}
