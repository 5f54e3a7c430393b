// Bytes to compress: some that shrink, some that do not.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/unit/support/vmcores.h"

namespace dw::test {

inline std::vector<std::byte> text_like(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(i % 97 * (i / 700) + i / 70000);
  return bytes;
}

inline std::vector<std::byte> random_bytes(size_t size, uint64_t seed) {
  std::vector<std::byte> bytes(size);
  VmcoreBuilder().fill_random(0, size, seed).read(0, bytes);
  return bytes;
}

}  // namespace dw::test
