// The zero test: whether a page is all zeros. Reads memory at the speed of the cache, because it
// runs over every page of a dump (musl's memcmp does a tenth of it).
// Thread safety: pure.
#pragma once

#include "capture/base/bytes.h"

namespace dw {

// `bytes` has a multiple of 64 bytes.
[[nodiscard]] bool is_zero(Bytes bytes);

}  // namespace dw
