// Bytes: little-endian loads and stores, and the span types the stages pass to each other.
//
// Everything we read (x86_64 and aarch64 vmcores, kdump files) is little-endian, and so is every
// machine we run on; loads go through memcpy, so nothing need be aligned.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "capture/base/check.h"

namespace dw {

static_assert(std::endian::native == std::endian::little);

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// Reads a T at `offset`. The caller has checked the bounds; a wrong check stops the program.
template <typename T>
[[nodiscard]] T load(Bytes from, size_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  DW_CHECK(offset <= from.size() && sizeof(T) <= from.size() - offset);
  T value;
  std::memcpy(&value, from.data() + offset, sizeof(T));
  return value;
}

template <typename T>
void store(MutableBytes to, size_t offset, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  DW_CHECK(offset <= to.size() && sizeof(T) <= to.size() - offset);
  std::memcpy(to.data() + offset, &value, sizeof(T));
}

template <typename T>
[[nodiscard]] Bytes bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace dw
