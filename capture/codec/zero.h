// The zero test: whether a page is all zeros. Reads memory at the speed of the cache, because it
// runs over every page of a dump (musl's memcmp does a tenth of it).
// Thread safety: pure.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"

namespace dw {

// With the widest vectors that this CPU has. `bytes` has a multiple of 64 bytes, at any address.
[[nodiscard]] bool is_zero(Bytes bytes);

enum class ZeroVariant : uint8_t { kPlain, kSse2, kAvx2, kAvx512 };

// The same by one variant, which this CPU must have: for tests and measurements.
[[nodiscard]] bool has_zero_variant(ZeroVariant variant);
[[nodiscard]] bool is_zero_by(ZeroVariant variant, Bytes bytes);

}  // namespace dw
