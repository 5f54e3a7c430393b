#include "capture/codec/zero.h"

#include <doctest/doctest.h>

#include <functional>
#include <vector>

using namespace dw;

namespace {

constexpr size_t kPage = 4096;
constexpr ZeroVariant kVariants[] = {ZeroVariant::kPlain, ZeroVariant::kSse2, ZeroVariant::kAvx2,
                                     ZeroVariant::kAvx512};

// The one that is_zero() chooses, and each that this CPU has.
std::vector<std::function<bool(Bytes)>> all_tests() {
  std::vector<std::function<bool(Bytes)>> tests = {is_zero};
  for (ZeroVariant variant : kVariants)
    if (has_zero_variant(variant))
      tests.emplace_back([variant](Bytes bytes) { return is_zero_by(variant, bytes); });
  return tests;
}

}  // namespace

TEST_CASE("zero: plain C++ is always there, SSE2 on every x86_64") {
  CHECK(has_zero_variant(ZeroVariant::kPlain));
#if defined(__x86_64__)
  CHECK(has_zero_variant(ZeroVariant::kSse2));
#endif
}

TEST_CASE("zero: one set bit anywhere is seen, at any length") {
  std::vector<std::byte> page(kPage);
  for (const auto& test : all_tests()) {
    for (size_t size : {size_t{64}, size_t{128}, size_t{256}, size_t{320}, size_t{576}, kPage}) {
      Bytes bytes = Bytes(page).first(size);
      CHECK(test(bytes));
      unsigned unseen = 0;
      for (size_t bit = 0; bit < size * 8; ++bit) {
        page[bit / 8] = std::byte{1} << (bit % 8);
        if (test(bytes)) ++unseen;
        page[bit / 8] = std::byte{0};
      }
      CHECK(unseen == 0);
    }
  }
}

TEST_CASE("zero: bytes beyond the end do not count, and nothing is zero") {
  std::vector<std::byte> page(3 * kPage, std::byte{0xff});
  for (const auto& test : all_tests()) {
    CHECK(test({}));
    for (size_t size = 64; size <= kPage; size += 64) {
      std::fill_n(page.begin() + kPage, size, std::byte{0});
      CHECK(test(Bytes(page).subspan(kPage, size)));
    }
    std::fill(page.begin(), page.end(), std::byte{0xff});
  }
}

TEST_CASE("zero: bytes need not be aligned") {
  for (const auto& test : all_tests()) {
    for (size_t shift = 1; shift < 64; ++shift) {
      std::vector<std::byte> page(kPage + 64, std::byte{0xff});
      std::fill_n(page.begin() + static_cast<ptrdiff_t>(shift), kPage, std::byte{0});
      CHECK(test(Bytes(page).subspan(shift, kPage)));
      CHECK_FALSE(test(Bytes(page).subspan(shift - 1, kPage)));
      CHECK_FALSE(test(Bytes(page).subspan(shift + 1, kPage)));
    }
  }
}
