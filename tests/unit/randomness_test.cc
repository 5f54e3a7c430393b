#include "capture/codec/randomness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/support/contents.h"

using namespace dw;
using test::random_bytes;
using test::text_like;

namespace {

constexpr size_t kPage = 4096;

}  // namespace

TEST_CASE("randomness: random bytes look random, of any page size") {
  unsigned found = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed)
    if (looks_random(random_bytes(kPage, seed))) ++found;
  CHECK(found >= 950);
  CHECK(looks_random(random_bytes(16 * kPage, 1)));
  CHECK(looks_random(random_bytes(1024, 1)));
}

TEST_CASE("randomness: a header before them makes no difference") {
  std::vector<std::byte> page = random_bytes(kPage, 1);
  std::fill_n(page.begin(), 48, std::byte{0});
  CHECK(looks_random(page));
}

TEST_CASE("randomness: what has structure does not look random") {
  CHECK_FALSE(looks_random(std::vector<std::byte>(kPage)));
  CHECK_FALSE(looks_random(text_like(kPage)));
  std::vector<std::byte> words = random_bytes(kPage, 2);
  for (size_t i = 0; i < kPage; i += 4) words[i] = std::byte{0xff};
  CHECK_FALSE(looks_random(words));
  // Bytes below 64 alone can be stored in 6 bits each.
  std::vector<std::byte> six_bits = random_bytes(kPage, 3);
  for (std::byte& byte : six_bits) byte &= std::byte{0x3f};
  CHECK_FALSE(looks_random(six_bits));
}

TEST_CASE("randomness: a half that is not random is enough") {
  std::vector<std::byte> page = random_bytes(kPage, 4);
  std::fill_n(page.begin() + kPage / 2, kPage / 2, std::byte{7});
  CHECK_FALSE(looks_random(page));
}
