#include "capture/plan/pass_one.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
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

TEST_CASE("pass_one: the plan follows bits that were put in the place of those judged now") {
  TimeLimit limit(kLimitSeconds);
  VmcoreBuilder builder;
  builder.add_ram(0, 600 * kPageBytes).add_ram(3 * kWindowPages * kPageBytes, 10 * kPageBytes);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  for (bool in_order : {false, true}) {
    PassOne pass = std::move(PassOne::create(vmcore, kUnknownKernel, 1, 2).value());
    // As the bitmap of a dump that was begun before: a page of the second chunk, one of the third
    // that is not there any more, and none of the other window.
    auto result = pass.run(
        [](uint64_t first_pfn, Bytes, MutableBytes kept) {
          std::array<uint64_t, kWindowWords> before{};
          if (first_pfn == 0) {
            before[kChunkPages / 64] = 1 << 3;
            before[2 * kChunkPages / 64 + 3] = 1;
          }
          std::memcpy(kept.data(), before.data(), kept.size());
          return Status();
        },
        {.in_order = in_order, .with_digests = true});
    REQUIRE(result.ok());
    CHECK(result->plan.kept_pages() == 2);
    CHECK(result->counts.kept == 610);
    Plan::Cursor cursor(result->plan);
    auto first = cursor.next();
    REQUIRE(first);
    CHECK(first->first_pfn == kChunkPages);
    CHECK(first->kept == 1);
    CHECK(first->digest == digest_of({1 << 3}));
    auto second = cursor.next();
    REQUIRE(second);
    CHECK(second->first_pfn == 2 * kChunkPages);
    CHECK(second->rank == 1);
    CHECK_FALSE(cursor.next());
  }
}
