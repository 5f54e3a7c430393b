// Messages of the initrd: one line each, prefixed "dumpwright:", to stderr and to the kernel's log.
//
// Thread safety: say() may be called from several threads. Ownership: a Log owns its /dev/kmsg.
#pragma once

#include "capture/base/fd.h"

namespace dw {

class Log {
 public:
  // Lines go to `fd` (not owned; stderr is 2) only.
  explicit Log(int fd = 2) : fd_(fd) {}

  // Opens /dev/kmsg if it is there. A line can still be lost there: the kernel limits their rate.
  static Log with_kernel_log();

  // One line of at most 500 bytes; the rest is cut.
  [[gnu::format(printf, 2, 3)]] void say(const char* format, ...) const;
  void warn(const Error& error) const;

 private:
  int fd_;
  Fd kmsg_;
};

}  // namespace dw
