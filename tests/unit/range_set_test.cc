#include "capture/target/server/range_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace dw;

TEST_CASE("range set: says of each range whether any of it is in") {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    RangeSet set(1000);
    std::vector<bool> in(400);
    for (int i = 0; i < 60; ++i) {
      size_t begin = random() % in.size();
      size_t end = begin + random() % std::min<size_t>(in.size() - begin + 1, 12);
      REQUIRE(set.add(begin, end));
      std::fill(in.begin() + begin, in.begin() + end, true);
      for (size_t from = 0; from < in.size(); from += 3) {
        size_t to = std::min(in.size(), from + random() % 20);
        bool any = std::find(in.begin() + from, in.begin() + to, true) != in.begin() + to;
        REQUIRE(set.overlaps(from, to) == any);
      }
    }
    CHECK(set.overlaps(0, ~uint64_t{0}));
    set.clear();
    CHECK(set.empty());
    CHECK_FALSE(set.overlaps(0, ~uint64_t{0}));
  }
}

TEST_CASE("range set: ranges that touch are one, others have a limit") {
  RangeSet set(3);
  for (uint64_t at : {10, 0, 20}) REQUIRE(set.add(at, at + 5));
  CHECK_FALSE(set.add(30, 35));
  CHECK_FALSE(set.overlaps(30, 35));
  CHECK(set.add(25, 35));  // at the end of one
  CHECK(set.add(5, 10));   // between two
  CHECK(set.add(100, 101));
  CHECK_FALSE(set.add(200, 201));
  CHECK(set.add(0, 300));
  CHECK(set.add(400, 401));
  RangeSet other(1);
  set.swap(other);
  CHECK(set.empty());
  CHECK(other.overlaps(299, 300));
}
