// dumpwright capture: saves a vmcore. Returns the exit status.
#pragma once

#include <span>

#include "capture/report/capture_events.h"
#include "capture/target/target_access.h"

namespace dw {

int capture_command(std::span<const char* const> arguments, CaptureEvents& events,
                    TargetAccess& access);

}  // namespace dw
