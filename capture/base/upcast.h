// A result that is more special than what is wanted. Thread safety: pure.
#pragma once

#include <memory>
#include <utility>

#include "capture/base/result.h"

namespace dw {

template <typename Base, typename Derived>
Result<std::unique_ptr<Base>> upcast(Result<std::unique_ptr<Derived>> made) {
  if (!made.ok()) return made.error();
  return std::unique_ptr<Base>(std::move(*made));
}

}  // namespace dw
