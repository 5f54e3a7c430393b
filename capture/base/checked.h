// Checked arithmetic for numbers that come from outside: every length and offset of a vmcore, a
// dump or a server is taken for hostile.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

#include "capture/base/check.h"

namespace dw {

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, std::type_identity_t<T> b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, std::type_identity_t<T> b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Whether [offset, offset + length) lies within [0, size), without ever wrapping.
[[nodiscard]] constexpr bool range_fits(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

// `alignment` is a power of two.
[[nodiscard]] constexpr uint64_t align_down(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}

// The caller knows that value + alignment does not wrap; a wrap stops the program.
[[nodiscard]] constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  DW_CHECK(value <= std::numeric_limits<uint64_t>::max() - (alignment - 1));
  return align_down(value + alignment - 1, alignment);
}

[[nodiscard]] constexpr uint64_t divide_up(uint64_t value, uint64_t divisor) {
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

}  // namespace dw
