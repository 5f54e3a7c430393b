#include "initrd-hooks/standalone/log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace dw {

namespace {

// Facility "user", level "debug": stderr has the line already, so the kernel's console need not
// show it again.
constexpr char kPrefix[] = "<15>dumpwright: ";
constexpr size_t kLevelLength = 4;

// Once, and hardly waiting: a console that takes nothing must stop neither process 1 nor its child.
void write_once(int fd, const char* text, size_t size) {
  constexpr int kWaitMs = 200;
  if (fd < 0) return;  // poll(2) would wait for nothing
  pollfd console{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&console, 1, kWaitMs) != 1 || (console.revents & POLLOUT) == 0) return;
  [[maybe_unused]] ssize_t lost = ::write(fd, text, size);
}

}  // namespace

Log Log::with_kernel_log() {
  Log log;
  auto kmsg = open_file("/dev/kmsg", O_WRONLY | O_NONBLOCK);
  if (kmsg.ok()) log.kmsg_ = std::move(*kmsg);
  return log;
}

void Log::say(const char* format, ...) const {
  char line[520];
  size_t used = sizeof(kPrefix) - 1;
  std::memcpy(line, kPrefix, used);
  va_list arguments;
  va_start(arguments, format);
  int n = std::vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
  va_end(arguments);
  used += std::min(static_cast<size_t>(std::max(n, 0)), sizeof(line) - used - 2);
  line[used++] = '\n';
  write_once(fd_, line + kLevelLength, used - kLevelLength);
  if (kmsg_.valid()) write_once(kmsg_.get(), line, used);
}

void Log::warn(const Error& error) const {
  char text[480];
  error.format(text, sizeof(text));
  say("%s", text);
}

}  // namespace dw
