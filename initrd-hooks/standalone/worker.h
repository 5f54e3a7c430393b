// What the capturing child does: load modules, then for each target what it needs (find a device
// and mount it, or bring up the network), call the capture, sync and unmount, until one target
// holds a complete dump.
//
// Thread safety: called once, in a process of its own with a single thread.
#pragma once

#include <string>
#include <vector>

#include "capture/report/capture_events.h"
#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/directory_target.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/network/network.h"
#include "initrd-hooks/standalone/progress.h"

namespace dw {

struct Work {
  const Config* config;
  const std::vector<BootParameter>* boot;
  // The capture command; returns its exit status.
  int (*capture)(int argc, char** argv, CaptureEvents& events);
  const Log* log;
  Status (*check_directory)(const std::string& directory) = refuse_memory;
  Status (*bring_up_network)(const std::vector<BootParameter>& boot,
                             const Log& log) = bring_up_initrd_network;
};

// The arguments of the capture command for `targets`. `careful`: for a second try, after the first
// was killed, perhaps for want of memory; the bytes written do not depend on it.
std::vector<std::string> capture_arguments(const Config& config, bool careful,
                                           const std::vector<std::string>& targets);

// Goes on where `progress` says that an earlier child ended. Returns the best status of all
// targets.
CaptureStatus run_worker(const Work& work, SharedProgress& progress);

}  // namespace dw
