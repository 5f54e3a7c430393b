// The same work on several threads. Thread safety: one call at a time of one object's members.
#pragma once

#include <functional>

#include "capture/base/result.h"

namespace dw {

// Runs `work` on up to `threads` threads, this one among them; each call is to go on until nothing
// is left to do. If threads cannot be started, or have no memory (which `work` must find before it
// takes any), the others do it all. Returns an error of one of them, if there is any.
Status run_on_threads(unsigned threads, const std::function<Status()>& work);

}  // namespace dw
