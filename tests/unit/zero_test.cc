#include "capture/codec/zero.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

namespace {

constexpr size_t kPage = 4096;

}  // namespace

TEST_CASE("zero: one set bit anywhere is seen") {
  std::vector<std::byte> page(kPage);
  CHECK(is_zero(page));
  CHECK(is_zero({}));
  for (size_t at = 0; at < kPage; ++at) {
    page[at] = std::byte{0x80};
    CHECK_FALSE(is_zero(page));
    page[at] = std::byte{0};
  }
}

TEST_CASE("zero: bytes need not be aligned") {
  std::vector<std::byte> page(kPage + 1);
  page[0] = std::byte{1};
  CHECK(is_zero(Bytes(page).subspan(1)));
  CHECK_FALSE(is_zero(Bytes(page).first(kPage)));
}
