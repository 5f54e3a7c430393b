// Progress lines while a dump is written: a console that stays silent gets rebooted by somebody.
//
// Progress is owned and called by one thread; the functions are pure, but for console_of().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dw {

enum class ProgressMode : uint8_t { kPlain, kJson, kNone };

// "auto" is plain for now. Nothing if the name is not one.
[[nodiscard]] std::optional<ProgressMode> parse_progress_mode(std::string_view name);

// What the lines are written to.
enum class Console : uint8_t { kScreen, kSerial, kFile };

// Of /dev/console it is the last console= of the kernel's command line.
[[nodiscard]] Console console_of(int fd);

// A serial line is slow, and the kernel waits for it; a file is read later.
[[nodiscard]] uint64_t progress_interval_ms(Console console);

struct ProgressState {
  uint64_t pages_done = 0;
  uint64_t total_pages = 0;
  uint64_t pages_before = 0;   // of those done: what an interrupted run left
  uint64_t bytes_written = 0;  // with what that run wrote
  uint64_t elapsed_ms = 0;
  uint64_t bytes_per_second = 0;  // since the line before
};

// A line without its end; of kJson, an object.
[[nodiscard]] std::string progress_line(ProgressMode mode, const ProgressState& state);

class Progress {
 public:
  // `pages_before` were done, and `bytes_before` written, when it begins.
  Progress(ProgressMode mode, uint64_t total_pages, uint64_t pages_before = 0,
           uint64_t bytes_before = 0);

  // Prints when a line is due.
  void update(uint64_t pages_done, uint64_t bytes_written);

  [[nodiscard]] uint64_t elapsed_ms() const;

 private:
  ProgressMode mode_;
  uint64_t total_pages_;
  uint64_t pages_before_;
  uint64_t interval_ms_;
  uint64_t start_ms_;
  uint64_t last_ms_;
  uint64_t last_bytes_;
};

}  // namespace dw
