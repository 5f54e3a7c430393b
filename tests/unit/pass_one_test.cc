#include "capture/plan/pass_one.h"

#include <doctest/doctest.h>

#include <mutex>
#include <vector>

#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kWindows = 40;
constexpr unsigned kLimitSeconds = 60;

// A page in each of forty windows, some of them far apart.
VmcoreBuilder forty_windows() {
  VmcoreBuilder builder;
  for (uint64_t i = 0; i < kWindows; ++i)
    builder.add_ram((i + i / 10) * kWindowPages * kPageBytes, kPageBytes);
  return builder;
}

const VmcoreLayout kUnknownKernel;

}  // namespace

TEST_CASE("pass_one: in order if asked for, for any number of threads") {
  TimeLimit limit(kLimitSeconds);
  TemporaryVmcore file(forty_windows());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  for (unsigned threads : {1, 2, 8}) {
    PassOne pass = std::move(PassOne::create(vmcore, kUnknownKernel, 1, threads).value());
    std::vector<uint64_t> seen;  // no lock: the calls come one at a time
    auto result = pass.run(
        [&](uint64_t first_pfn, Bytes, Bytes) {
          seen.push_back(first_pfn);
          return Status();
        },
        {.in_order = true, .with_digests = true});
    REQUIRE(result.ok());
    CHECK(result->plan.has_digests());
    REQUIRE(seen.size() == kWindows);
    for (uint64_t i = 0; i < kWindows; ++i) CHECK(seen[i] == (i + i / 10) * kWindowPages);
  }
}

TEST_CASE("pass_one: an error of whoever takes the bitmaps ends it, and nobody waits for ever") {
  TimeLimit limit(kLimitSeconds);
  TemporaryVmcore file(forty_windows());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  for (bool in_order : {false, true}) {
    for (unsigned threads : {1, 2, 8}) {
      PassOne pass = std::move(PassOne::create(vmcore, kUnknownKernel, 1, threads).value());
      std::mutex mutex;
      unsigned calls = 0;
      auto result = pass.run(
          [&](uint64_t, Bytes, Bytes) -> Status {
            std::lock_guard lock(mutex);
            if (++calls < 5) return {};
            return Error(ErrorKind::kNoSpace, "the test says so");
          },
          {.in_order = in_order});
      CHECK(text_of(result) == "the test says so");
      CHECK(calls < 5 + threads);
    }
  }
}
