#include "capture/cli/bench_advice.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

namespace {

constexpr double kGb = 1e9;

// 100 GB to keep.
Workload work(double target_mb_per_s = 0) {
  Workload work;
  work.kept_bytes = 100000000000;
  work.kept_pages = 24414063;
  work.bitmap_bytes = 10000000;
  work.pass_one_s = 5;
  work.target_mb_per_s = target_mb_per_s;
  return work;
}

Candidate kdump(double mb_per_s, double share) { return {DumpFormat::kKdump, mb_per_s, share}; }
Candidate stream(double mb_per_s, double share) { return {DumpFormat::kStream, mb_per_s, share}; }

const std::vector<ScalePoint> kTwo = {{.threads = 1, .relative = 0.5},
                                      {.threads = 2, .relative = 1}};

}  // namespace

TEST_CASE("bench advice: the slowest part counts, behind pass 1") {
  Estimate slow_target = estimate(work(100), kdump(1000, 0.3));
  CHECK(slow_target.judging_s == 5);
  CHECK(slow_target.compressing_s == doctest::Approx(100));
  // Data, 24 bytes for each page, bitmaps.
  CHECK(slow_target.bytes == 30000000000 + 24414063ULL * 24 + 10000000);
  CHECK(slow_target.writing_s == doctest::Approx(305.96).epsilon(0.001));
  CHECK(slow_target.total_s() == doctest::Approx(310.96).epsilon(0.001));
  CHECK(slow_target.bottleneck() == Bottleneck::kWriting);

  Estimate fast_target = estimate(work(10000), kdump(1000, 0.3));
  CHECK(fast_target.total_s() == doctest::Approx(105));
  CHECK(fast_target.bottleneck() == Bottleneck::kCompressing);
  CHECK(estimate(work(10000), kdump(1000, 0.3), 0.5).total_s() == doctest::Approx(205));

  Workload from_disk = work(10000);
  from_disk.source_mb_per_s = 500;
  Estimate slow_source = estimate(from_disk, kdump(1000, 0.3));
  CHECK(slow_source.total_s() == doctest::Approx(205));
  CHECK(slow_source.bottleneck() == Bottleneck::kReading);
}

TEST_CASE("bench advice: without a target nothing is written, and a stream has no table") {
  Estimate none = estimate(work(), stream(1000, 0.25));
  CHECK(none.writing_s == 0);
  CHECK(none.bytes == 25000000000);
  CHECK(none.bottleneck() == Bottleneck::kCompressing);
  CHECK(none.fits);
}

TEST_CASE("bench advice: a slow target wants small dumps, a fast one quick compression") {
  std::vector<Candidate> candidates = {kdump(600, 0.30), kdump(1200, 0.45), kdump(4000, 1.0)};
  CHECK(recommend(work(100), candidates, kTwo)->candidate == 0);
  CHECK(recommend(work(450), candidates, kTwo)->candidate == 1);
  CHECK(recommend(work(4000), candidates, kTwo)->candidate == 2);
}

TEST_CASE("bench advice: the smaller of two that take about the same time") {
  std::vector<Candidate> candidates = {kdump(1000, 0.5), kdump(950, 0.3), kdump(500, 0.2)};
  CHECK(recommend(work(2000), candidates, kTwo)->candidate == 1);
  // Nobody waits for two seconds.
  Workload little = work(2000);
  little.kept_bytes = 600000000;
  little.kept_pages = 146485;
  CHECK(recommend(little, candidates, kTwo)->candidate == 2);
}

TEST_CASE("bench advice: kdump, unless a stream is much faster") {
  std::vector<Candidate> close = {kdump(1000, 0.3), stream(1200, 0.2)};
  CHECK(recommend(work(), close, kTwo)->candidate == 0);
  std::vector<Candidate> far = {kdump(1000, 0.3), stream(2000, 0.2)};
  CHECK(recommend(work(), far, kTwo)->candidate == 1);
  // A fifth of nearly nothing is nothing.
  Workload little = work();
  little.kept_bytes = 1000000000;
  CHECK(recommend(little, far, kTwo)->candidate == 0);
}

TEST_CASE("bench advice: what does not fit is not chosen, if anything does") {
  std::vector<Candidate> candidates = {kdump(2000, 0.5), kdump(500, 0.3), stream(500, 0.2)};
  Workload tight = work(1000);
  tight.free_bytes = 40 * kGb;
  CHECK(recommend(tight, candidates, kTwo)->candidate == 1);
  tight.free_bytes = 25 * kGb;
  CHECK(recommend(tight, candidates, kTwo)->candidate == 2);
  tight.free_bytes = 1 * kGb;
  std::optional<Advice> none = recommend(tight, candidates, kTwo);
  CHECK(none->candidate == 2);
  CHECK_FALSE(none->estimate.fits);
}

TEST_CASE("bench advice: no more threads than help") {
  std::vector<Candidate> candidates = {kdump(1000, 0.3)};
  std::optional<Advice> slow = recommend(work(100), candidates, kTwo);
  CHECK(slow->threads == 1);
  CHECK(slow->estimate.compressing_s == doctest::Approx(200));
  CHECK(recommend(work(1000), candidates, kTwo)->threads == 2);
}

TEST_CASE("bench advice: nothing to choose from") {
  CHECK_FALSE(recommend(work(100), {}, kTwo).has_value());
  std::vector<double> speeds = {100, 1000};
  CHECK(recommend_by_target(work(), {}, kTwo, speeds).empty());
}

TEST_CASE("bench advice: one for each speed of a target") {
  std::vector<Candidate> candidates = {kdump(600, 0.30), kdump(4000, 1.0)};
  std::vector<double> speeds = {100, 4000};
  std::vector<Advice> all = recommend_by_target(work(), candidates, kTwo, speeds);
  REQUIRE(all.size() == 2);
  CHECK(all[0].target_mb_per_s == 100);
  CHECK(all[0].candidate == 0);
  CHECK(all[1].candidate == 1);
}
