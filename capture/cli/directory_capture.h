// A directory gets the dump: a new one, or the rest of one that was interrupted.
// Thread safety: one thread calls.
#pragma once

#include "capture/base/result.h"
#include "capture/cli/save_dump.h"

namespace dw {

// An error means that no part of this crash is known to stand there.
Result<Outcome> capture_to_directory(const Capture& capture, const Job& job);

// Whether all of this crash is there already; says so. Makes nothing.
bool holds_whole_dump(const Capture& capture, const Job& job);

}  // namespace dw
