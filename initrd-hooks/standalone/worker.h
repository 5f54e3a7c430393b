// What the capturing child does: load modules, make the targets ready, call the capture with all of
// them, sync and unmount.
//
// Thread safety: called once, in a process of its own with a single thread.
#pragma once

#include <string>
#include <vector>

#include "capture/report/capture_events.h"
#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/progress.h"
#include "initrd-hooks/standalone/target_setup.h"

namespace dw {

struct Work {
  const Config* config;
  const std::vector<BootParameter>* boot;
  // The capture command; returns its exit status.
  int (*capture)(int argc, char** argv, CaptureEvents& events, TargetAccess& access);
  const Log* log;
  TargetSteps steps = {};
  TargetLimits limits = {};
};

// The arguments of the capture command for `targets`. `careful`: for a second try, after the first
// was killed, perhaps for want of memory; the bytes written do not depend on it.
std::vector<std::string> capture_arguments(const Config& config, bool careful,
                                           const std::vector<std::string>& targets);

// Goes on where `progress` says that an earlier child ended. Returns the best status of all that
// ran.
CaptureStatus run_worker(const Work& work, SharedProgress& progress);

}  // namespace dw
