// A process of its own for a step that may hang in the kernel for ever.
//
// The mount of a broken disk can be neither ended nor waited for. Here it hangs alone: past its
// time the process is sent SIGKILL and left behind. What it did in the kernel (mounts, addresses of
// interfaces) stays when it has ended.
// Thread safety: one thread. Ownership: the process is killed with the object, and with its parent.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "capture/base/result.h"

namespace dw {

class HelperProcess {
 public:
  // Runs in the process. The text, such as a path, is cut at PATH_MAX. Must not need other threads.
  using Work = std::function<Result<std::string>()>;

  // `limit_ms`: how long it has.
  static Result<std::unique_ptr<HelperProcess>> start(const Work& work, int64_t limit_ms);
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // What the work returned; nothing while it is still at it. kTimeout: it had not ended in time;
  // kIo: something ended it before. Does not wait.
  const std::optional<Result<std::string>>& outcome();
  // It had not ended in time, and may be in the kernel still.
  [[nodiscard]] bool hangs() const { return outcome_.has_value() && !reaped_; }

 private:
  struct Shared;
  HelperProcess(Shared* shared, int64_t deadline_ms) : shared_(shared), deadline_ms_(deadline_ms) {}

  [[noreturn]] void be_child(const Work& work, pid_t parent);
  [[nodiscard]] Result<std::string> result_of(int status) const;

  Shared* shared_;
  int64_t deadline_ms_;
  pid_t pid_ = -1;
  bool reaped_ = false;
  std::optional<Result<std::string>> outcome_;
};

}  // namespace dw
