// Tells whether the head of a dump reads back as it was written, without keeping it: the sum of a
// hash of each eight bytes with their place, zeros left out. So it does not depend on the order of
// the writes, nor on whether zeros were written or only made room for.
//
// Thread safety: any thread may add().
#pragma once

#include <atomic>
#include <cstdint>

#include "capture/base/bytes.h"

namespace dw {

class HeadSum {
 public:
  // `offset` is a multiple of 8; the last bytes, up to such a multiple, count as followed by zeros.
  // No byte may be added twice.
  void add(uint64_t offset, Bytes bytes);
  [[nodiscard]] uint64_t value() const { return sum_; }

 private:
  std::atomic<uint64_t> sum_ = 0;
};

}  // namespace dw
