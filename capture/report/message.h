// Messages for a person at a console: one line each, on stderr, beginning with "dumpwright: ".
//
// Each line is one write(2), so that lines of several processes do not mix. Thread safety: any.
#pragma once

#include "capture/base/result.h"

namespace dw {

[[gnu::format(printf, 1, 2)]] void print_message(const char* format, ...);
void print_error(const Error& error);
void print_warning(const Error& error);

}  // namespace dw
