#include "capture/target/nfs/tcp_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "capture/base/clock.h"
#include "capture/target/server/resolve.h"

namespace dw {

namespace {

constexpr unsigned kFirstPort = 600;
constexpr unsigned kLastPort = 1023;
constexpr int kKeepaliveProbes = 3;

void set_port(SocketAddress& address, uint16_t port) {
  if (address.storage.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
}

// Stays unbound where it may not be: the server then decides.
void bind_privileged(int fd, int family) {
  SocketAddress any;
  any.storage.ss_family = static_cast<sa_family_t>(family);
  any.length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  constexpr unsigned kCount = kLastPort - kFirstPort + 1;
  // Another one each time: the server may still remember the last.
  auto start = static_cast<unsigned>(monotonic_ns() / 1000 % kCount);
  for (unsigned i = 0; i < kCount; i++) {
    set_port(any, static_cast<uint16_t>(kFirstPort + (start + i) % kCount));
    if (::bind(fd, any.get(), any.length) == 0 || errno != EADDRINUSE) return;
  }
}

void set_option(int fd, int level, int option, int value) {
  static_cast<void>(::setsockopt(fd, level, option, &value, sizeof(value)));
}

// The kernel notices a peer that is gone also while we wait for an answer that may take long.
void set_options(int fd, const ServerTimes& times) {
  int seconds = static_cast<int>(std::max<uint32_t>(1, times.keepalive_ms / 1000));
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

// 0, or the errno of the connection.
int wait_connected(int fd, uint32_t limit_ms) {
  pollfd waiting = {fd, POLLOUT, 0};
  int ready = ::poll(&waiting, 1, static_cast<int>(limit_ms));
  if (ready == 0) return ETIMEDOUT;
  if (ready < 0) return errno;
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// 0, or the errno of the connection.
int connect_one(const SocketAddress& address, const ServerTimes& times, uint32_t limit_ms,
                Fd& socket) {
  int family = address.storage.ss_family;
  socket = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return errno;
  bind_privileged(socket.get(), family);
  set_options(socket.get(), times);
  if (::connect(socket.get(), address.get(), address.length) == 0) return 0;
  return errno == EINPROGRESS ? wait_connected(socket.get(), limit_ms) : errno;
}

Error connect_error(const std::string& display, int errno_value) {
  ErrorKind kind = errno_value == ETIMEDOUT ? ErrorKind::kTimeout : ErrorKind::kLost;
  Error error(kind, "cannot connect to the server");
  error.because(errno_value);
  return error.on(display).hint("is the server running, and the port right? Look at firewalls too");
}

}  // namespace

Result<Fd> connect_tcp(const std::string& host, uint16_t port, const ServerTimes& times,
                       const std::string& display) {
  uint64_t end_ms = monotonic_ms() + times.connect_ms;
  DW_ASSIGN(std::vector<SocketAddress> addresses, resolve_host(host, port, times.connect_ms));
  int error = ETIMEDOUT;
  for (size_t i = 0; i < addresses.size(); i++) {
    uint64_t now_ms = monotonic_ms();
    if (now_ms >= end_ms) break;
    // An address that swallows everything must not use up the time of the others.
    auto share_ms = static_cast<uint32_t>((end_ms - now_ms) / (addresses.size() - i));
    Fd socket;
    error = connect_one(addresses[i], times, share_ms, socket);
    if (error == 0) return socket;
  }
  return connect_error(display, error);
}

}  // namespace dw
