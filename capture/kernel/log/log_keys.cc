#include "capture/kernel/log/log_keys.h"

namespace dw {

Status LogKeys::status() const {
  if (missing_ == nullptr) return {};
  return Error(ErrorKind::kUnsupported, "VMCOREINFO does not say where the kernel's log is")
      .on(missing_);
}

}  // namespace dw
