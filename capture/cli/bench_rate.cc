#include "capture/cli/bench_rate.h"

#include <algorithm>
#include <vector>

#include "capture/base/clock.h"

namespace dw {

namespace {

constexpr unsigned kMaxPasses = 10000;  // of a round

Timing operator-(const Timing& a, const Timing& b) {
  return {.wall_ns = a.wall_ns - b.wall_ns, .cpu_ns = a.cpu_ns - b.cpu_ns};
}

double mb_per_s(double bytes, uint64_t ns) {
  return bytes * 1000 / static_cast<double>(std::max<uint64_t>(ns, 1));
}

// The mean pass of a round that takes at least `wall_ns`, with all that a pass does off its clock.
Result<Timing> measure_round(uint64_t wall_ns, const Pass& pass) {
  uint64_t begin = monotonic_ns();
  Timing sum;
  unsigned passes = 0;
  do {
    DW_ASSIGN(Timing one, pass());
    sum.wall_ns += one.wall_ns;
    sum.cpu_ns += one.cpu_ns;
    ++passes;
  } while (passes < kMaxPasses && monotonic_ns() - begin < wall_ns);
  return Timing{.wall_ns = sum.wall_ns / passes, .cpu_ns = sum.cpu_ns / passes};
}

}  // namespace

Rate rate_of(std::span<const Timing> rounds, double bytes, RatedBy by) {
  if (rounds.empty()) return {};
  std::vector<double> rates;
  Timing sum;
  for (const Timing& round : rounds) {
    rates.push_back(mb_per_s(bytes, by == RatedBy::kCpu ? round.cpu_ns : round.wall_ns));
    sum.wall_ns += round.wall_ns;
    sum.cpu_ns += round.cpu_ns;
  }
  std::ranges::sort(rates);
  size_t middle = rates.size() / 2;
  double median = rates.size() % 2 == 1 ? rates[middle] : (rates[middle - 1] + rates[middle]) / 2;
  return {.median = median,
          .low = rates.front(),
          .high = rates.back(),
          .cpus = static_cast<double>(sum.cpu_ns) /
                  static_cast<double>(std::max<uint64_t>(sum.wall_ns, 1))};
}

double undisturbed(const Rate& rate, unsigned threads) {
  return rate.cpus > 0 ? rate.median * std::max(1.0, threads / rate.cpus) : rate.median;
}

Result<Rate> measure_rate(double seconds, double bytes, RatedBy by, const Pass& pass) {
  auto total_ns = static_cast<uint64_t>(seconds * 1e9);
  uint64_t begin = monotonic_ns();
  std::vector<Timing> rounds;
  while (rounds.size() < kMinRounds ||
         (rounds.size() < kMaxRounds && monotonic_ns() - begin < total_ns)) {
    DW_ASSIGN(Timing round, measure_round(total_ns / 5, pass));
    rounds.push_back(round);
  }
  return rate_of(rounds, bytes, by);
}

Stopwatch::Stopwatch() : begin_{.wall_ns = monotonic_ns(), .cpu_ns = thread_cpu_ns()} {}

Timing Stopwatch::elapsed() const {
  return Timing{.wall_ns = monotonic_ns(), .cpu_ns = thread_cpu_ns()} - begin_;
}

ProcessStopwatch::ProcessStopwatch()
    : begin_{.wall_ns = monotonic_ns(), .cpu_ns = process_cpu_ns()} {}

Timing ProcessStopwatch::elapsed() const {
  return Timing{.wall_ns = monotonic_ns(), .cpu_ns = process_cpu_ns()} - begin_;
}

}  // namespace dw
