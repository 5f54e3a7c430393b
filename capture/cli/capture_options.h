// The options of `dumpwright capture`: command line over configuration file over defaults.
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/saving.h"
#include "capture/report/progress.h"
#include "capture/target/open_store.h"

namespace dw {

struct CaptureOptions {
  std::string source = "/proc/vmcore";
  std::vector<std::string> targets;  // that parse_target_address() takes, in their order
  int dump_level = 31;
  SavingWish saving;          // for each target by saving_for()
  unsigned threads = 0;       // 0: one for each CPU
  std::string hostname;       // empty: the crashed kernel's
  uint64_t memory_limit = 0;  // bytes; 0: half of what is available
  Resume resume = Resume::kAuto;
  uint64_t retry_for_s = 60;  // a lost connection, before the next target
  StoreOptions stores;
  ProgressMode progress = ProgressMode::kPlain;
  bool help = false;
};

// Whether this is the real thing, with one chance: nothing is refused that can be done without.
[[nodiscard]] bool is_crash(const CaptureOptions& options);

// `arguments` are those behind the command's name. Errors are kUsage. Problems of the configuration
// file are errors too, except for /proc/vmcore: then they are printed as warnings and the defaults
// hold, because a crash is the wrong moment to be strict. `devices`: dev: targets can be used.
Result<CaptureOptions> parse_capture_options(std::span<const char* const> arguments,
                                             bool devices = false);

}  // namespace dw
