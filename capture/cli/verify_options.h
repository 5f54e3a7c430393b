// The options of `dumpwright verify`. Thread safety: plain values.
#pragma once

#include <span>
#include <string>

#include "capture/base/result.h"

namespace dw {

struct VerifyCommandOptions {
  std::string dump;
  unsigned threads = 0;  // 0: one for each CPU
  bool json = false;
  bool help = false;
};

// `arguments` are those behind the command's name. Errors are kUsage.
Result<VerifyCommandOptions> parse_verify_options(std::span<const char* const> arguments);

}  // namespace dw
