// What an NFS server says about a call that it did not do. The numbers of NFSv3 (RFC 1813) and
// NFSv4 (RFC 7530) agree where both have one. Thread safety: pure.
#pragma once

#include <cstdint>

#include "capture/base/result.h"

namespace dw {

// Ask again in a moment.
[[nodiscard]] bool nfs_needs_time(uint32_t status);

// The server forgot what we had from it, so that only a new connection can go on.
[[nodiscard]] bool nfs_is_lost(uint32_t status);

// `status` is not 0.
Error nfs_error(const char* what, uint32_t status);

}  // namespace dw
