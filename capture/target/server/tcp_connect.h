// TCP connections to a server, with a limit for everything: the name, and each address tried.
//
// Thread safety: pure. A look-up that takes too long is left behind on a thread of its own, which
// ends when the resolver gives up.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/server/file_server.h"

namespace dw {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
};

// Of a name, or an address as it is written. Errors: kTimeout; kLost if the resolver could not be
// asked; kIo if there is no such name. At most kMostEndpoints, at least one.
inline constexpr size_t kMostEndpoints = 8;
Result<std::vector<Endpoint>> resolve(const std::string& host, uint16_t port, uint32_t limit_ms);

// As root, kPrivileged is a port below 1024, which many NFS servers want from those they trust;
// without the right to it, or if all are taken, it is any.
enum class SourcePort : uint8_t { kAny, kPrivileged };

// A socket that does not block, and is on its way to be connected. What it has not sent when it is
// closed never is: it must not reach a server on which another connection has gone on meanwhile.
// Keepalive and time limits are set as `times` says. Error kLost with the errno.
Result<Fd> begin_connect(const Endpoint& endpoint, const ServerTimes& times,
                         SourcePort source = SourcePort::kAny);

struct Connection {
  Fd fd;
  Endpoint endpoint;
};

// Tries one address after the other; `limit_ms` is for all of them. Errors: kTimeout; kLost with
// the errno of the last address.
Result<Connection> connect_to(const std::vector<Endpoint>& endpoints, uint32_t limit_ms,
                              const ServerTimes& times, SourcePort source = SourcePort::kAny);

}  // namespace dw
