// Messages for a person at a console: one line each, on stderr, beginning with "dumpwright: ".
//
// Each line is one write(2), so that lines of several processes do not mix. Thread safety: any.
#pragma once

#include <span>

#include "capture/base/result.h"

namespace dw {

// Names from a vmcore stand in what we print: they may not move the cursor or forge a line.
void replace_control_characters(std::span<char> text);

// Control characters are replaced.
[[gnu::format(printf, 1, 2)]] void print_message(const char* format, ...);
void print_error(const Error& error);
void print_warning(const Error& error);

}  // namespace dw
