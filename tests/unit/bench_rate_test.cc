#include "capture/cli/bench_rate.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

TEST_CASE("bench rate: median, slowest and fastest round, and the CPUs it had") {
  // 1,000,000 bytes in 1, 4 and 2 ms.
  std::vector<Timing> rounds = {{.wall_ns = 1000000, .cpu_ns = 500000},
                                {.wall_ns = 4000000, .cpu_ns = 500000},
                                {.wall_ns = 2000000, .cpu_ns = 1000000}};
  Rate wall = rate_of(rounds, 1e6, RatedBy::kWall);
  CHECK(wall.median == doctest::Approx(500));
  CHECK(wall.low == doctest::Approx(250));
  CHECK(wall.high == doctest::Approx(1000));
  CHECK(wall.cpus == doctest::Approx(2.0 / 7));
  Rate cpu = rate_of(rounds, 1e6, RatedBy::kCpu);
  CHECK(cpu.median == doctest::Approx(2000));
  CHECK(cpu.low == doctest::Approx(1000));
  rounds.push_back({.wall_ns = 500000, .cpu_ns = 500000});
  CHECK(rate_of(rounds, 1e6, RatedBy::kWall).median == doctest::Approx(750));
}

TEST_CASE("bench rate: no round, and a clock that stood still") {
  CHECK(rate_of({}, 1e6, RatedBy::kWall).median == 0);
  std::vector<Timing> none = {{.wall_ns = 0, .cpu_ns = 0}};
  CHECK(rate_of(none, 1e6, RatedBy::kWall).median == doctest::Approx(1e9));
}

TEST_CASE("bench rate: at least three rounds, and never without end") {
  unsigned passes = 0;
  auto pass = [&]() -> Result<Timing> {
    ++passes;
    return Timing{.wall_ns = 1000, .cpu_ns = 1000};
  };
  Result<Rate> rate = measure_rate(0, 1e6, RatedBy::kWall, pass);
  REQUIRE(rate.ok());
  CHECK(passes == kMinRounds);
  CHECK(rate->median == doctest::Approx(1e6));
  // Passes that cost nothing are stopped by their number where time does not.
  passes = 0;
  REQUIRE(measure_rate(0.05, 1e6, RatedBy::kWall, pass).ok());
  CHECK(passes > kMinRounds);
  CHECK(passes <= kMaxRounds * 10000);
}

TEST_CASE("bench rate: the first error of a pass ends it") {
  unsigned passes = 0;
  auto pass = [&]() -> Result<Timing> {
    if (++passes == 2) return Error(ErrorKind::kIo, "gone");
    return Timing{.wall_ns = 1000, .cpu_ns = 1000};
  };
  CHECK_FALSE(measure_rate(0, 1e6, RatedBy::kWall, pass).ok());
  CHECK(passes == 2);
}

TEST_CASE("bench rate: what it would have been with the machine to itself") {
  Rate rate{.median = 100, .low = 90, .high = 110, .cpus = 0.5};
  CHECK(was_disturbed(rate));
  CHECK(undisturbed(rate, 2) == doctest::Approx(400));
  rate.cpus = 2.1;
  CHECK_FALSE(was_disturbed(rate));
  CHECK(undisturbed(rate, 2) == doctest::Approx(100));
  CHECK(undisturbed(Rate{}, 2) == 0);
}
