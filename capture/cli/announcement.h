// A word about the crash to every target, before the dump and after it: whatever becomes of the
// dump, somebody learns of it.
//
// Each target gets one try, all of them at once, with a time limit for the whole. A thread that
// hangs in a dead target is left behind; it owns all that it uses. Thread safety: one thread calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/cli/save_dump.h"

namespace dw {

struct Announced {
  bool put = false;            // the report is there; the log too if there is no error
  std::string saved_at;        // a complete dump of this crash stands there; empty: none known
  std::optional<Error> error;  // why the report, or the log, is not there
};

// Puts `text` as the report of this crash, and the kernel's log, to each of `jobs`, in the order of
// which the result is. Where a complete dump of it stands already, its report stays as it is.
// Nothing is printed.
std::vector<Announced> announce(const Capture& capture, std::span<const Job* const> jobs,
                                const std::string& text, uint64_t limit_ms = 10'000);

// Whether a thread was left behind that is still at it. A program that ends meanwhile must not take
// apart what such a thread uses: _exit().
[[nodiscard]] bool announcements_running();
// Whether one was left behind in this target, as it was asked for: a partition is busy meanwhile.
[[nodiscard]] bool announcement_running(const std::string& target);

}  // namespace dw
