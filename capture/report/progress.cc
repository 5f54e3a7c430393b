#include "capture/report/progress.h"

#include <linux/serial.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "capture/base/clock.h"
#include "capture/report/message.h"

namespace dw {

std::optional<ProgressMode> parse_progress_mode(std::string_view name) {
  if (name == "auto" || name == "plain") return ProgressMode::kPlain;
  if (name == "json") return ProgressMode::kJson;
  if (name == "none") return ProgressMode::kNone;
  return std::nullopt;
}

Console console_of(int fd) {
  if (::isatty(fd) == 0) return Console::kFile;
  // What drives a serial port can be asked for its settings; screens and pseudo terminals cannot.
  serial_struct settings{};
  return ::ioctl(fd, TIOCGSERIAL, &settings) == 0 ? Console::kSerial : Console::kScreen;
}

uint64_t progress_interval_ms(Console console) {
  switch (console) {
    case Console::kScreen:
      return 1000;
    case Console::kSerial:
      return 10'000;
    case Console::kFile:
      break;
  }
  return 5000;
}

std::string progress_line(ProgressMode mode, const ProgressState& state) {
  uint64_t done = std::min(state.pages_done, state.total_pages);
  uint64_t done_now = done - std::min(state.pages_before, done);
  uint64_t left_ms = done_now == 0 ? 0 : state.elapsed_ms * (state.total_pages - done) / done_now;
  char line[240];
  if (mode == ProgressMode::kJson) {
    std::snprintf(line, sizeof(line),
                  "{\"pages\": %" PRIu64 ", \"total_pages\": %" PRIu64 ", \"bytes\": %" PRIu64
                  ", \"bytes_per_second\": %" PRIu64 ", \"elapsed_ms\": %" PRIu64
                  ", \"left_ms\": %" PRIu64 "}",
                  state.pages_done, state.total_pages, state.bytes_written, state.bytes_per_second,
                  state.elapsed_ms, left_ms);
    return line;
  }
  std::snprintf(
      line, sizeof(line),
      "%3" PRIu64 " %%, %" PRIu64 " of %" PRIu64 " pages, %" PRIu64 " MiB written, %" PRIu64
      ".%" PRIu64 " MiB/s, %" PRIu64 " s, about %" PRIu64 " s left",
      done * 100 / std::max<uint64_t>(state.total_pages, 1), state.pages_done, state.total_pages,
      state.bytes_written >> 20, state.bytes_per_second >> 20,
      (state.bytes_per_second & 0xfffff) * 10 >> 20, state.elapsed_ms / 1000, left_ms / 1000);
  return line;
}

Progress::Progress(ProgressMode mode, uint64_t total_pages, uint64_t pages_before,
                   uint64_t bytes_before)
    : mode_(mode),
      total_pages_(total_pages),
      pages_before_(pages_before),
      interval_ms_(progress_interval_ms(console_of(STDERR_FILENO))),
      start_ms_(monotonic_ms()),
      last_ms_(start_ms_),
      last_bytes_(bytes_before) {}

uint64_t Progress::elapsed_ms() const { return monotonic_ms() - start_ms_; }

void Progress::update(uint64_t pages_done, uint64_t bytes_written) {
  uint64_t since_ms = monotonic_ms() - last_ms_;
  if (mode_ == ProgressMode::kNone || since_ms < interval_ms_) return;
  uint64_t bytes = bytes_written - std::min(last_bytes_, bytes_written);
  std::string line = progress_line(mode_, {.pages_done = pages_done,
                                           .total_pages = total_pages_,
                                           .pages_before = pages_before_,
                                           .bytes_written = bytes_written,
                                           .elapsed_ms = elapsed_ms(),
                                           .bytes_per_second = bytes * 1000 / since_ms});
  last_ms_ += since_ms;
  last_bytes_ = bytes_written;
  if (mode_ == ProgressMode::kJson)
    write_to_console(line + "\n");
  else
    print_message("%s", line.c_str());
}

}  // namespace dw
