#include "capture/target/server/tcp_connect.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

using namespace dw;

namespace {

struct Listener {
  Fd fd{::socket(AF_INET, SOCK_STREAM, 0)};
  uint16_t port = 0;

  Listener() {
    int little = 4096;
    REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)) == 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* bound = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(fd.get(), bound, length) == 0);
    REQUIRE(::listen(fd.get(), 1) == 0);
    REQUIRE(::getsockname(fd.get(), bound, &length) == 0);
    port = ntohs(address.sin_port);
  }
};

// Sends until no more goes, closes, and returns how many bytes were sent, and how many arrived.
std::pair<size_t, size_t> send_and_close() {
  Listener listener;
  ServerTimes times;
  auto endpoints = resolve("127.0.0.1", listener.port, times.connect_ms);
  REQUIRE(endpoints.ok());
  Result<Connection> connection = connect_to(*endpoints, times.connect_ms, times);
  REQUIRE(connection.ok());
  Fd server(::accept(listener.fd.get(), nullptr, nullptr));
  REQUIRE(server.valid());
  std::vector<std::byte> bytes(64 << 10);
  size_t sent = 0;
  for (;;) {
    ssize_t n = ::send(connection->fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  REQUIRE(connection->fd.close().ok());
  size_t arrived = 0;
  for (;;) {
    ssize_t n = ::recv(server.get(), bytes.data(), bytes.size(), 0);
    if (n <= 0) break;
    arrived += static_cast<size_t>(n);
  }
  return {sent, arrived};
}

}  // namespace

TEST_CASE("tcp connect: what was not sent when a connection is closed is never sent") {
  auto [sent, arrived] = send_and_close();
  CHECK(arrived < sent);
}
