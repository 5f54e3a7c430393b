#include "capture/cli/memory_budget.h"

#include <doctest/doctest.h>

#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("memory_budget: as many threads as fit, and no more than are wanted") {
  MemoryNeeds needs{.fixed = 1000, .per_thread = 300};
  CHECK(threads_that_fit(needs, 4, 1300).value() == 1);
  CHECK(threads_that_fit(needs, 4, 1599).value() == 1);
  CHECK(threads_that_fit(needs, 4, 1600).value() == 2);
  CHECK(threads_that_fit(needs, 4, 2200).value() == 4);
  CHECK(threads_that_fit(needs, 4, UINT64_MAX).value() == 4);
}

TEST_CASE("memory_budget: a limit that is too small says what is needed") {
  Result<unsigned> none = threads_that_fit({.fixed = 1000, .per_thread = 300}, 4, 1299);
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().kind() == ErrorKind::kUsage);
  CHECK(contains(text_of(none), "1299"));
  CHECK(contains(text_of(none), "1300"));
  CHECK(contains(text_of(none), "--memory-limit"));
}
