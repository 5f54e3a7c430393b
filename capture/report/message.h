// Messages for a person at a console: one line each, on stderr, beginning with "dumpwright: ".
//
// Each line is one write(2), so that lines of several processes do not mix. Thread safety: any.
#pragma once

#include <span>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

// Names from a vmcore stand in what we print: they may not move the cursor or forge a line.
void replace_control_characters(std::span<char> text);

// Control characters are replaced.
[[gnu::format(printf, 1, 2)]] void print_message(const char* format, ...);
// A line with its end as it is; dropped if the console does not take it within 200 ms.
void write_to_console(std::string_view line);

void print_error(const Error& error);
void print_warning(const Error& error);

}  // namespace dw
