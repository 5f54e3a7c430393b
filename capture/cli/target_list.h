// The targets in their order: the first that takes the whole dump ends it, and all of them hear of
// the crash. Thread safety: one thread calls.
#pragma once

#include <span>
#include <vector>

#include "capture/cli/capture_report.h"
#include "capture/cli/save_dump.h"

namespace dw {

// Returns the exit status, that of the best of them. capture.access says where each job goes to.
// `failed`, which `capture` refers to, is filled as it goes.
int capture_to_targets(const Capture& capture, std::span<Job> jobs,
                       std::vector<FailedTarget>& failed);

}  // namespace dw
