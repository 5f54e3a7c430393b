// How a capture gets at its targets. A target may have to be made ready first, by somebody else: a
// device is mounted, the network is brought up. This is who does.
//
// Thread safety: one thread calls. The default is for targets that are there already.
#pragma once

#include <optional>
#include <string>

#include "capture/base/result.h"

namespace dw {

class TargetAccess {
 public:
  TargetAccess() = default;
  TargetAccess(const TargetAccess&) = delete;
  TargetAccess& operator=(const TargetAccess&) = delete;
  virtual ~TargetAccess() = default;

  // Whether `dev:` targets are mounted.
  [[nodiscard]] virtual bool mounts_devices() const { return false; }

  // The turn of `target`, as it was asked for, has come. What it is to be written to: itself, or
  // the folder where it is mounted. May wait, with a limit. An error is why it cannot be used.
  virtual Result<std::string> take(const std::string& target) { return target; }

  // The same without waiting, and its turn has not come; nothing: it is not ready yet.
  virtual Result<std::optional<std::string>> peek(const std::string& target) {
    return std::optional<std::string>(target);
  }
};

}  // namespace dw
