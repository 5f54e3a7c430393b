#include "capture/report/message.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <span>

namespace dw {

namespace {

constexpr size_t kMaxLine = 512;
constexpr int kConsoleWaitMs = 200;

}  // namespace

void replace_control_characters(std::span<char> text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
}

void print_message(const char* format, ...) {
  char line[kMaxLine] = "dumpwright: ";
  size_t used = std::strlen(line);
  va_list arguments;
  va_start(arguments, format);
  int n = std::vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
  va_end(arguments);
  used = std::min(used + static_cast<size_t>(std::max(n, 0)), sizeof(line) - 2);
  replace_control_characters(std::span(line).first(used));
  line[used++] = '\n';
  write_to_console({line, used});
}

void write_to_console(std::string_view line) {
  // A console that nobody reads from, or a serial line that hangs, is no reason to wait for ever,
  // and one that is gone is no reason to stop.
  pollfd console{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&console, 1, kConsoleWaitMs) != 1 || (console.revents & POLLOUT) == 0) return;
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void print_error(const Error& error) {
  char text[kMaxLine];
  error.format(text, sizeof(text));
  print_message("error: %s", text);
}

void print_warning(const Error& error) {
  char text[kMaxLine];
  error.format(text, sizeof(text));
  print_message("warning: %s", text);
}

}  // namespace dw
