#include "capture/base/numbers.h"

#include <doctest/doctest.h>

using namespace dw;

TEST_CASE("numbers: decimal digits within bounds, and nothing else") {
  CHECK(parse_number("0", 0, 31) == 0);
  CHECK(parse_number("31", 0, 31) == 31);
  for (const char* bad : {"32", "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616"})
    CHECK_FALSE(parse_number(bad, 0, 31).has_value());
  CHECK_FALSE(parse_number("4", 5, 31).has_value());
}

TEST_CASE("numbers: bytes with a suffix, as far as 64 bits go") {
  CHECK(parse_bytes("1") == 1);
  CHECK(parse_bytes("3K") == 3 << 10);
  CHECK(parse_bytes("5M") == 5 << 20);
  CHECK(parse_bytes("7G") == uint64_t{7} << 30);
  CHECK(parse_bytes("17179869183G") == uint64_t{17179869183} << 30);
  for (const char* bad : {"", "K", "0", "0G", "1T", "1k", "1KK", "17179869184G", "-1M"})
    CHECK_FALSE(parse_bytes(bad).has_value());
}
