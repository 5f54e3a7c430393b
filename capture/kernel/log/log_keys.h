// The lines of VMCOREINFO that the log is found by: all of them are asked for, then looked at once.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/result.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

// No structure of the log is nearly as large: what claims to be is not believed.
inline constexpr uint64_t kMaxLogStructBytes = 4096;

class LogKeys {
 public:
  explicit LogKeys(const Vmcoreinfo& info) : info_(&info) {}

  // 0 if there is none, or if it makes no sense; then status() says so.
  uint64_t symbol(const char* name) { return take(info_->symbol(name), ~uint64_t{0}, name); }
  uint64_t offset(const char* name) { return take(info_->offset(name), kMaxLogStructBytes, name); }
  uint64_t size(const char* name) { return take(info_->size(name), kMaxLogStructBytes, name); }

  // An error that names the first key that is missing.
  [[nodiscard]] Status status() const;

 private:
  uint64_t take(std::optional<uint64_t> value, uint64_t most, const char* name) {
    if (value && *value <= most) return *value;
    if (missing_ == nullptr) missing_ = name;
    return 0;
  }

  const Vmcoreinfo* info_;
  const char* missing_ = nullptr;  // a literal
};

// A value in the crashed kernel's memory that makes no sense.
[[nodiscard]] inline Error bad_log(const char* what) {
  return Error(ErrorKind::kBadInput, what)
      .hint("the kernel's memory was overwritten, or the vmcore is damaged");
}

}  // namespace dw
