// The administrator's own programs before and after the capture: /etc/dumpwright/pre.d and post.d
// of the initrd. Whatever they do, the capture and the final action follow.
//
// Thread safety: called from a process with a single thread.
#pragma once

#include <string>
#include <vector>

#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/watchdog.h"

namespace dw {

inline constexpr char kPreScripts[] = "/etc/dumpwright/pre.d";
inline constexpr char kPostScripts[] = "/etc/dumpwright/post.d";
inline constexpr size_t kMaxScripts = 32;
inline constexpr int64_t kScriptLimitMs = 60 * 1000;
inline constexpr int64_t kScriptGraceMs = 5 * 1000;

// Runs the executable files of `folder`, which need not exist, in the order of their names, hidden
// ones and those ending in '~' left out. Each has `limit_ms`; then it is killed, with all that it
// started, and waited for no longer than kScriptGraceMs. The watchdog is fed meanwhile.
// `environment` is "NAME=VALUE" each, beside PATH. What fails is told. Returns how many ran and
// failed or were killed.
size_t run_scripts(const std::string& folder, const std::vector<std::string>& environment,
                   int64_t limit_ms, Watchdog& watchdog, const Log& log);

}  // namespace dw
