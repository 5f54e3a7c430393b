// The options of `dumpwright convert`. Thread safety: plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "capture/base/result.h"
#include "capture/codec/compression.h"
#include "capture/format/dump_format.h"
#include "capture/report/progress.h"

namespace dw {

struct ConvertOptions {
  std::string input;   // "-": standard input
  std::string output;  // "-": standard output
  DumpFormat format = DumpFormat::kKdump;
  CompressionOptions compression;
  bool as_it_is = true;       // neither of the two was asked for
  unsigned threads = 0;       // 0: one for each CPU
  uint64_t memory_limit = 0;  // bytes; 0: half of what is available
  ProgressMode progress = ProgressMode::kPlain;
  bool help = false;
};

// `arguments` are those behind the command's name. Errors are kUsage.
Result<ConvertOptions> parse_convert_options(std::span<const char* const> arguments);

}  // namespace dw
