#include "capture/base/checked.h"

#include <doctest/doctest.h>

#include <array>

#include "capture/base/bytes.h"

using namespace dw;

namespace {

constexpr uint64_t kMax = ~uint64_t{0};

}  // namespace

TEST_CASE("checked: a sum or a product that wraps is nothing") {
  CHECK(checked_add(kMax - 1, uint64_t{1}) == kMax);
  CHECK_FALSE(checked_add(kMax, uint64_t{1}).has_value());
  CHECK(checked_mul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1).has_value());
  CHECK_FALSE(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32).has_value());
  CHECK_FALSE(checked_add(uint32_t{0xffffffff}, uint32_t{1}).has_value());
}

TEST_CASE("checked: a range fits up to the last byte and never wraps") {
  CHECK(range_fits(0, 10, 10));
  CHECK(range_fits(10, 0, 10));
  CHECK_FALSE(range_fits(10, 1, 10));
  CHECK_FALSE(range_fits(11, 0, 10));
  CHECK_FALSE(range_fits(1, kMax, 10));
  CHECK_FALSE(range_fits(kMax, 2, kMax));
  CHECK(range_fits(kMax - 1, 1, kMax));
}

TEST_CASE("checked: rounding") {
  CHECK(align_down(4097, 4096) == 4096);
  CHECK(align_up(4097, 4096) == 8192);
  CHECK(align_up(4096, 4096) == 4096);
  CHECK(align_up(kMax - 4095, 4096) == kMax - 4095);
  CHECK(divide_up(0, 8) == 0);
  CHECK(divide_up(9, 8) == 2);
  CHECK(divide_up(kMax, 2) == uint64_t{1} << 63);
}

TEST_CASE("bytes: values are loaded and stored little-endian at any offset") {
  std::array<std::byte, 9> bytes{};
  store<uint64_t>(bytes, 1, 0x0102030405060708);
  CHECK(bytes[1] == std::byte{8});
  CHECK(bytes[8] == std::byte{1});
  CHECK(load<uint64_t>(bytes, 1) == 0x0102030405060708);
  CHECK(load<uint32_t>(bytes, 5) == 0x01020304);
}
