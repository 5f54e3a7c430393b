// memcpy from memory that may not be there.
//
// A mapped vmcore raises SIGBUS where a page cannot be had: hardware poison under /proc/vmcore, or
// a regular file that was cut after it was mapped. A guarded copy turns that into `false`.
// Thread safety: any number of threads; each guards only itself.
#pragma once

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

// Installs the process-wide SIGBUS handler. A SIGBUS outside a guarded copy ends the program as it
// would have without us. May be called again.
Status install_sigbus_guard();

// Copies from.size() bytes. False, with `into` partly written, if the kernel refused a page.
// install_sigbus_guard() has been called.
[[nodiscard]] bool guarded_copy(MutableBytes into, Bytes from);

}  // namespace dw
