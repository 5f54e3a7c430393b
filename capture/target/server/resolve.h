// The addresses of a host, within a time limit.
//
// Thread safety: pure. A lookup that takes too long is left to end on a thread of its own, with
// nothing that anybody waits for.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "capture/base/result.h"

namespace dw {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `host`: a name, or an address without brackets. At most eight addresses, in the order in which
// they should be tried. kTimeout; kLost where asking again may help; kIo if there is no such name.
Result<std::vector<SocketAddress>> resolve_host(const std::string& host, uint16_t port,
                                                uint32_t limit_ms);

}  // namespace dw
