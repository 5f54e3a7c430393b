// Physical memory of a crashed kernel, wherever it is kept: in a vmcore, or in a dump.
// Thread safety: one object per thread.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class PhysicalMemory {
 public:
  PhysicalMemory() = default;
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;
  virtual ~PhysicalMemory() = default;

  // Copies [address, address + into.size()). Error kBadInput if a byte of it is not there, others
  // if it cannot be read; all with the address.
  virtual Status read(uint64_t address, MutableBytes into) = 0;
};

}  // namespace dw
