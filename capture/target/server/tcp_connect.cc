#include "capture/target/server/tcp_connect.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include "capture/base/clock.h"
#include "capture/base/thread.h"

namespace dw {

namespace {

constexpr int kKeepaliveProbes = 3;

// Shared by whoever waits and the thread that asks: the last of them frees it.
struct LookUp {
  std::string host;
  uint16_t port = 0;
  std::mutex mutex;
  std::condition_variable done;
  std::optional<int> code;  // getaddrinfo's
  std::vector<Endpoint> found;
};

int look_up(const std::string& host, uint16_t port, int flags, std::vector<Endpoint>& found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (code != 0) return code;
  for (addrinfo* one = list; one != nullptr && found.size() < kMostEndpoints; one = one->ai_next) {
    Endpoint endpoint;
    if (one->ai_addrlen > sizeof(endpoint.address)) continue;
    std::memcpy(&endpoint.address, one->ai_addr, one->ai_addrlen);
    endpoint.length = one->ai_addrlen;
    found.push_back(endpoint);
  }
  ::freeaddrinfo(list);
  return found.empty() ? EAI_NONAME : 0;
}

void look_up_aside(void* argument) {
  std::unique_ptr<std::shared_ptr<LookUp>> held(static_cast<std::shared_ptr<LookUp>*>(argument));
  LookUp& shared = **held;
  std::vector<Endpoint> found;
  int code = look_up(shared.host, shared.port, 0, found);
  std::lock_guard lock(shared.mutex);
  shared.code = code;
  shared.found = std::move(found);
  shared.done.notify_all();
}

bool start_aside(const std::shared_ptr<LookUp>& shared) {
  auto held = std::make_unique<std::shared_ptr<LookUp>>(shared);
  if (!start_detached_thread(look_up_aside, held.get()).ok()) return false;
  static_cast<void>(held.release());
  return true;
}

Error look_up_error(int code, const std::string& host) {
  bool no_such_name = code == EAI_NONAME;
#ifdef EAI_NODATA
  no_such_name = no_such_name || code == EAI_NODATA;
#endif
  if (no_such_name)
    return Error(ErrorKind::kIo, "there is no host of this name")
        .on(host)
        .hint("check the name, or use an address");
  return Error(ErrorKind::kLost, "cannot look up the name of the host")
      .on(host)
      .hint("check the name server, or use an address");
}

void set(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof(value));
}

// A peer that is gone is found out by the kernel too, also while nobody waits for it.
void set_options(int fd, const ServerTimes& times) {
  // Closed, it is gone: the kernel would go on for minutes to send what was on its way, and old
  // writes would come over those of the next connection. What matters was answered before.
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  int seconds = static_cast<int>(std::max<uint32_t>(1, times.keepalive_ms / 1000));
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

// Of any errno: trying again may help.
void bind_privileged(int fd, sa_family_t family) {
  constexpr unsigned kFirst = 600;
  constexpr unsigned kCount = 1024 - kFirst;
  sockaddr_storage any{};
  any.ss_family = family;
  socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  // The port stands at the same place for both families. Another one each time: the server may
  // still remember the last.
  auto* port = &reinterpret_cast<sockaddr_in*>(&any)->sin_port;
  auto start = static_cast<unsigned>(monotonic_ns() / 1000 % kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    *port = htons(static_cast<uint16_t>(kFirst + (start + i) % kCount));
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&any), length) == 0 || errno != EADDRINUSE)
      return;
  }
}

Error not_connected(int errno_value) {
  if (errno_value == ETIMEDOUT) return Error::from_errno("cannot connect", errno_value);
  return Error(ErrorKind::kLost, "cannot connect").because(errno_value);
}

// 0, or what went wrong, ETIMEDOUT among it.
int finish_connect(int fd, uint32_t limit_ms) {
  uint64_t end_ms = monotonic_ms() + limit_ms;
  for (;;) {
    uint64_t now_ms = monotonic_ms();
    if (now_ms >= end_ms) return ETIMEDOUT;
    pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
    int n = ::poll(&waiting, 1, static_cast<int>(end_ms - now_ms));
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) break;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

Result<std::vector<Endpoint>> resolve(const std::string& host, uint16_t port, uint32_t limit_ms) {
  std::vector<Endpoint> found;
  if (look_up(host, port, AI_NUMERICHOST, found) == 0) return found;
  auto shared = std::make_shared<LookUp>();
  shared->host = host;
  shared->port = port;
  if (!start_aside(shared)) return Error(ErrorKind::kNoMemory, "cannot start a thread").on(host);
  std::unique_lock lock(shared->mutex);
  bool answered = shared->done.wait_for(lock, std::chrono::milliseconds(limit_ms),
                                        [&] { return shared->code.has_value(); });
  if (!answered)
    return Error(ErrorKind::kTimeout, "the name of the host was not found out in time")
        .on(host)
        .hint("check the name server, or use an address");
  if (*shared->code != 0) return look_up_error(*shared->code, host);
  return shared->found;
}

Result<Fd> begin_connect(const Endpoint& endpoint, const ServerTimes& times, SourcePort source) {
  Fd fd(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return not_connected(errno);
  set_options(fd.get(), times);
  if (source == SourcePort::kPrivileged) bind_privileged(fd.get(), endpoint.address.ss_family);
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (::connect(fd.get(), address, endpoint.length) != 0 && errno != EINPROGRESS)
    return not_connected(errno);
  return fd;
}

Result<Connection> connect_to(const std::vector<Endpoint>& endpoints, uint32_t limit_ms,
                              const ServerTimes& times, SourcePort source) {
  DW_CHECK(!endpoints.empty());
  uint64_t end_ms = monotonic_ms() + limit_ms;
  Error last(ErrorKind::kLost, "cannot connect");
  for (size_t i = 0; i < endpoints.size(); ++i) {
    uint64_t now_ms = monotonic_ms();
    uint64_t left_ms = now_ms < end_ms ? end_ms - now_ms : 0;
    Result<Fd> fd = begin_connect(endpoints[i], times, source);
    if (!fd.ok()) {
      last = fd.error();
      continue;
    }
    int error = finish_connect(fd->get(), static_cast<uint32_t>(left_ms / (endpoints.size() - i)));
    if (error == 0) return Connection{std::move(*fd), endpoints[i]};
    last = not_connected(error);
  }
  return last;
}

}  // namespace dw
