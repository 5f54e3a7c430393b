// Whether something that took long is still to be done. Thread safety: that of the question.
#pragma once

#include <functional>

#include "capture/base/result.h"

namespace dw {

// Asked right before what cannot be taken back; without a function it is.
using StillWanted = std::function<bool()>;

// Error kTimeout if it is not.
inline Status check_wanted(const StillWanted& wanted) {
  if (!wanted || wanted()) return {};
  return Error(ErrorKind::kTimeout, "nobody waits for it any more");
}

}  // namespace dw
