// Reads what a server sent in XDR (RFC 4506), with every length checked.
//
// After the first thing that does not fit, ok() is false, and all that is read is zero or empty:
// callers read a whole reply and ask once. Thread safety: none. Ownership: it borrows the bytes,
// and so does what opaque() returns.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "capture/base/bytes.h"

namespace dw {

class XdrReader {
 public:
  explicit XdrReader(Bytes bytes = {}) : rest_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t left() const { return rest_.size(); }

  uint32_t u32() {
    Bytes taken = fixed(4);
    return ok_ ? __builtin_bswap32(load<uint32_t>(taken, 0)) : 0;
  }
  uint64_t u64() {
    uint64_t high = u32();
    return high << 32 | u32();
  }
  bool boolean() { return u32() != 0; }
  // `size` bytes and the padding behind them.
  Bytes fixed(size_t size) {
    size_t padding = (4 - size % 4) % 4;
    if (!ok_ || size > rest_.size() || padding > rest_.size() - size) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size + padding);
    return taken;
  }
  // With its length in front, at most `limit` bytes.
  Bytes opaque(size_t limit) {
    size_t size = u32();
    if (size > limit) fail();
    return fixed(ok_ ? size : 0);
  }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  Bytes rest_;
  bool ok_ = true;
};

}  // namespace dw
