// The options of `dumpwright bench`. Thread safety: plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "capture/base/result.h"

namespace dw {

struct BenchOptions {
  std::string source;
  std::string target;  // a directory; empty: none is measured
  unsigned dump_level = 31;
  unsigned threads = 0;              // 0: one for each CPU
  uint64_t sample_bytes = 64 << 20;  // of kept pages
  double seconds = 1;                // for each measurement
  bool json = false;
  bool help = false;
};

// `arguments` are those behind the command's name. Errors are kUsage.
Result<BenchOptions> parse_bench_options(std::span<const char* const> arguments);

}  // namespace dw
