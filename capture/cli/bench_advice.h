// What a whole dump would take with each compression, and which to choose: arithmetic on what was
// measured on a sample.
//
// Reading, compressing and writing overlap, so the slowest of them counts; before them comes
// pass 1. Thread safety: pure functions, plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "capture/format/dump_format.h"

namespace dw {

// The whole vmcore, and the machine around the pipeline.
struct Workload {
  uint64_t kept_bytes = 0;
  uint64_t kept_pages = 0;
  uint64_t bitmap_bytes = 0;  // of both bitmaps
  double pass_one_s = 0;
  double source_mb_per_s = 0;  // the most that the source gives, however many threads; 0: no limit
  double target_mb_per_s = 0;  // 0: not known, takes no time
  std::optional<uint64_t> free_bytes;  // on the target
};

struct Candidate {
  DumpFormat format = DumpFormat::kKdump;
  double pipeline_mb_per_s = 0;  // kept pages, with all threads
  double stored_share = 0;       // bytes of the dump's data by bytes of kept pages
};

// The pipeline's speed with some threads, by that with all.
struct ScalePoint {
  unsigned threads = 1;
  double relative = 1;
};

enum class Bottleneck : uint8_t { kJudging, kReading, kCompressing, kWriting };

struct Estimate {
  double judging_s = 0;
  double reading_s = 0;      // 0 unless the source is a limit of its own
  double compressing_s = 0;  // with reading, testing for zeros and looking for duplicates
  double writing_s = 0;
  uint64_t bytes = 0;  // of the dump
  bool fits = true;    // into the target

  [[nodiscard]] double total_s() const;
  [[nodiscard]] Bottleneck bottleneck() const;
};

// `relative`: as of the ScalePoint.
[[nodiscard]] Estimate estimate(const Workload& work, const Candidate& candidate,
                                double relative = 1);

struct Advice {
  double target_mb_per_s = 0;  // for which it is given; 0: any
  size_t candidate = 0;        // its index
  unsigned threads = 1;
  Estimate estimate;
};

// A format's choice is the smallest dump of those that take at most kSlack times the shortest time,
// or kSlackSeconds more; kdump, which opens as it is, unless a stream saves more time than that and
// is done in kStreamGain of it; the fewest threads that do not take kThreadSlack times as long.
// Dumps that do not fit are chosen only if none fits: then the smallest. None without candidates.
// `scaling` ends with all threads.
inline constexpr double kSlack = 1.10;
inline constexpr double kSlackSeconds = 2;
inline constexpr double kStreamGain = 0.80;
inline constexpr double kThreadSlack = 1.05;
[[nodiscard]] std::optional<Advice> recommend(const Workload& work,
                                              std::span<const Candidate> candidates,
                                              std::span<const ScalePoint> scaling);

// The same for targets of these speeds, where none was measured.
[[nodiscard]] std::vector<Advice> recommend_by_target(const Workload& work,
                                                      std::span<const Candidate> candidates,
                                                      std::span<const ScalePoint> scaling,
                                                      std::span<const double> targets_mb_per_s);

}  // namespace dw
