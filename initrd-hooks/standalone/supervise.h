// Process 1's whole work while a dump is taken: start a child, wait for it within limits, start it
// once more if it died, and say how it ended.
//
// A child that a signal ended (the OOM killer's, or its own crash) died, and so did one whose exit
// status means nothing. A child that exits with the status of a capture has decided: it is not
// started again. A child that stays in one step other than the capture for too long hangs: it is
// killed, and the second child goes on behind what it hung in. A capture that gives no sign of life
// for too long stalls: it is killed, and another child goes on without the target that it was at.
// What a child published before it was killed counts as an incomplete dump. Thread safety: one call
// at a time, from a process with a single thread; reaps every child.
#pragma once

#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/progress.h"
#include "initrd-hooks/standalone/watchdog.h"

namespace dw {

struct Supervision {
  // Runs in the child; what it returns is the child's exit status, as a CaptureStatus.
  int (*work)(SharedProgress& progress, const void* context) = nullptr;
  const void* context = nullptr;
  int64_t capture_timeout_ms = 0;         // for all children together; 0: none
  int64_t step_limit_ms = 5 * 60 * 1000;  // for every step but the capture, which has its own
  int64_t stall_limit_ms = 0;             // between two signs of life of a capture; 0: none
  int64_t kill_grace_ms = 10 * 1000;      // how long a killed child is waited for
  // Fed while a step lasts, and a capture as long as its last sign of life is not older than this.
  // May be null.
  Watchdog* watchdog = nullptr;
  int64_t feed_limit_ms = 150 * 1000;
  int64_t tick_ms = 500;  // how often the limits are looked at
};

// What the children saved: the best that any of them recorded or exited with. Always returns; but
// without a capture_timeout a capture may take as long as it likes.
CaptureStatus supervise(const Supervision& supervision, SharedProgress& progress, const Log& log);

}  // namespace dw
