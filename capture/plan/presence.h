// Which page frames of a window a vmcore holds, as a bitmap. Thread safety: pure.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/source/physical_map.h"

namespace dw {

// Sets one bit per page frame from `first_pfn` (a multiple of 8) on, least significant first; all
// other bits of `bits` are cleared.
void present_bits(const PhysicalMap& memory, uint64_t first_pfn, MutableBytes bits);

}  // namespace dw
