// Speed, measured several times over: the median of the rounds, the slowest and the fastest.
// Thread safety: plain values and pure functions, but for the clock.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "capture/base/result.h"

namespace dw {

struct Timing {
  uint64_t wall_ns = 0;
  uint64_t cpu_ns = 0;
};

// In MB (1,000,000 bytes) a second, unless the user of it says otherwise.
struct Rate {
  double median = 0;
  double low = 0;
  double high = 0;
  // CPU time by wall time: how many CPUs the work had.
  double cpus = 0;
};

// Whether a thread that only computed, and was rated thus, did not have a CPU to itself: other work
// ran on the machine.
[[nodiscard]] inline bool was_disturbed(const Rate& computing) { return computing.cpus < 0.9; }
// The median that it would have been with a CPU for each of `threads` threads.
[[nodiscard]] double undisturbed(const Rate& rate, unsigned threads);

enum class RatedBy : uint8_t { kWall, kCpu };

[[nodiscard]] Rate rate_of(std::span<const Timing> rounds, double bytes, RatedBy by);

// Calls `pass`, which works on `bytes` bytes and tells how long it took, for about `seconds` in all
// but at least kMinRounds times. Short passes are put together to rounds, so that each is long
// enough to be measured. Returns the first error of `pass`.
inline constexpr unsigned kMinRounds = 3;
inline constexpr unsigned kMaxRounds = 15;
using Pass = std::function<Result<Timing>()>;
Result<Rate> measure_rate(double seconds, double bytes, RatedBy by, const Pass& pass);

// For passes that run on the calling thread only.
class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] Timing elapsed() const;

 private:
  Timing begin_;
};

// The same with the CPU time of all threads.
class ProcessStopwatch {
 public:
  ProcessStopwatch();
  [[nodiscard]] Timing elapsed() const;

 private:
  Timing begin_;
};

}  // namespace dw
