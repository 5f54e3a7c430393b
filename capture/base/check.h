// Invariants. A broken one stops the program, in release builds too: going on with state that
// cannot be right is how a dump gets corrupted in silence.
//
// For input from outside (a vmcore, a file, a server) return an Error instead.
#pragma once

namespace dw {

// Prints the place and the condition to stderr with write(2) and aborts. Allocates nothing.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace dw

#define DW_CHECK(condition)                                    \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::dw::check_failed(#condition, __FILE_NAME__, __LINE__); \
  } while (false)
