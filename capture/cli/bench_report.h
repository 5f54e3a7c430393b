// What `dumpwright bench` found, as a table and as JSON.
// Thread safety: pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/cli/bench_advice.h"
#include "capture/cli/bench_measure.h"
#include "capture/cli/bench_target.h"
#include "capture/plan/window_classifier.h"

namespace dw {

struct ScalingSpeed {
  unsigned threads;
  Rate pipeline;
  double efficiency;
  double codec_share;
};

struct BenchResult {
  std::string source;
  unsigned dump_level = 31;
  uint64_t page_size = 4096;
  uint64_t ram_pages = 0;
  ClassCounts counts;

  unsigned cpus = 1;     // usable
  unsigned threads = 1;  // the most that were measured
  uint64_t available_memory_bytes = 0;

  double pass_one_s = 0;  // over the whole vmcore, with all threads, the first time
  Rate judging;           // MB of struct page; all zero if they cannot be told

  BenchSample::Counts sample;
  // The first is the way in which a capture reads. Empty where nothing is kept.
  std::vector<ReadSpeed> reading;
  // Empty where no page but zero pages is kept.
  std::vector<CodecSpeed> codecs;
  std::vector<uint64_t> memory_bytes;  // that a capture takes, by codec
  std::vector<ScalingSpeed> scaling;   // of the first codec

  // Other work ran meanwhile. Estimates and advice then count on a CPU for each thread.
  bool disturbed = false;

  std::optional<TargetSpeed> target;
  Workload work;
  std::vector<Estimate> estimates;  // by codec, with all threads
  std::vector<Advice> advice;       // one, or one for each of several target speeds
};

// Lines as wide as they need be. The first row is the head; the first `left_columns` columns are
// aligned left, others right.
[[nodiscard]] std::string format_table(const std::vector<std::vector<std::string>>& rows,
                                       size_t left_columns);

[[nodiscard]] std::string bench_text(const BenchResult& result);
// One line, with its end.
[[nodiscard]] std::string bench_json(const BenchResult& result);

// "12.3 GB": powers of 1000.
[[nodiscard]] std::string size_text(double bytes);
[[nodiscard]] std::string duration_text(double seconds);
[[nodiscard]] const char* name_of(Bottleneck bottleneck);

}  // namespace dw
