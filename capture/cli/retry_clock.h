// How long a connection that broke is tried again: until nothing came of it for a while.
// Thread safety: one thread.
#pragma once

#include <cstdint>

#include "capture/report/capture_events.h"

namespace dw {

class RetryClock {
 public:
  // `events` hears that waiting is not hanging.
  RetryClock(uint64_t limit_ms, CaptureEvents& events) : limit_ms_(limit_ms), events_(&events) {}

  // An attempt failed after `progress` (any count that grows). If that is more than ever before,
  // the time begins anew. Waits a little, longer from one time to the next; false, at once, if the
  // time is over.
  bool wait(uint64_t progress);

  [[nodiscard]] uint64_t limit_ms() const { return limit_ms_; }

 private:
  uint64_t limit_ms_;
  CaptureEvents* events_;
  uint64_t most_ = 0;
  uint64_t begun_ms_ = 0;  // when the first attempt without progress failed
  bool begun_ = false;
  uint64_t pause_ms_ = 0;
};

}  // namespace dw
