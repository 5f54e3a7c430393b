// Messages of the initrd: one line each, prefixed "dumpwright:", to stderr and to the kernel's log.
//
// Thread safety: say() may be called from several threads. Ownership: a Log owns its /dev/kmsg.
#pragma once

#include "capture/base/fd.h"

namespace dw {

class Log {
 public:
  Log() = default;  // stderr only

  // Opens /dev/kmsg if it is there. A line can still be lost there: the kernel limits their rate.
  static Log with_kernel_log();

  // One line of at most 500 bytes; the rest is cut.
  [[gnu::format(printf, 2, 3)]] void say(const char* format, ...) const;
  void warn(const Error& error) const;

 private:
  Fd kmsg_;
};

}  // namespace dw
