// A TCP connection to one of a host's addresses, from a privileged port if that may be.
#pragma once

#include <string>

#include "capture/base/fd.h"
#include "capture/target/server/file_server.h"

namespace dw {

// Non-blocking, close-on-exec. Name and connection together take times.connect_ms at most. As root
// it comes from a port below 1024, which many NFS servers insist on. kLost or kTimeout, on
// `display`; kIo if there is no such host.
Result<Fd> connect_tcp(const std::string& host, uint16_t port, const ServerTimes& times,
                       const std::string& display);

}  // namespace dw
