#include "capture/pipeline/duplicate_index.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

namespace {

constexpr uint64_t kDistance = DuplicateIndex::kDistance;
constexpr uint64_t kReach = DuplicateIndex::kReach;

DuplicateIndex create() { return std::move(DuplicateIndex::create().value()); }

}  // namespace

TEST_CASE("duplicate_index: a page is seen from 32 to 256 batches on, and not before or after") {
  DuplicateIndex index = create();
  PageHash hash{.low = 7, .high = 9};
  index.add(100, hash, {.where = 4096, .size = 77});
  for (uint64_t sequence = 100; sequence < 500; ++sequence) {
    CAPTURE(sequence);
    bool expected = sequence >= 100 + kDistance && sequence <= 100 + kReach;
    auto place = index.find(sequence, hash);
    CHECK(place.has_value() == expected);
    if (place) CHECK((place->where == 4096 && place->size == 77));
  }
}

TEST_CASE("duplicate_index: both halves of the hash count") {
  DuplicateIndex index = create();
  index.add(0, {.low = 7, .high = 9}, {.where = 1, .size = 1});
  CHECK(index.find(kDistance, {.low = 7, .high = 9}).has_value());
  CHECK_FALSE(index.find(kDistance, {.low = 7, .high = 8}).has_value());
  CHECK_FALSE(index.find(kDistance, {.low = 7 + (uint64_t{1} << 40), .high = 9}).has_value());
}

TEST_CASE("duplicate_index: what a batch may still see is never replaced") {
  DuplicateIndex index = create();
  // All in one bucket, one for each batch: four are kept until they are out of reach.
  auto hash = [](uint64_t i) { return PageHash{.low = 0, .high = i}; };
  for (uint64_t i = 0; i < 2 * kReach; ++i) {
    index.add(i, hash(i), {.where = i, .size = 1});
    for (uint64_t first = 0; first < 4; ++first) {
      uint64_t next = i + 1;
      bool visible = next >= first + kDistance && next <= first + kReach;
      CHECK(index.find(next, hash(first)).has_value() == visible);
    }
  }
  CHECK_FALSE(index.find(2 * kReach, hash(100)).has_value());  // the bucket was full
}

TEST_CASE("duplicate_index: the seed changes every hash") {
  std::vector<std::byte> page(4096, std::byte{3});
  CHECK(hash_of(page, 1) == hash_of(page, 1));
  CHECK_FALSE(hash_of(page, 1) == hash_of(page, 2));
  std::vector<std::byte> other = page;
  other[4095] = std::byte{4};
  CHECK_FALSE(hash_of(page, 1) == hash_of(other, 1));
  CHECK(hash_seed_of(page) != hash_seed_of(other));
}
