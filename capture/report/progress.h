// Progress lines while a dump is written: a console that stays silent gets rebooted by somebody.
//
// Owned and called by the committer's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dw {

enum class ProgressMode : uint8_t { kPlain, kJson, kNone };

// "auto" is plain for now. Nothing if the name is not one.
[[nodiscard]] std::optional<ProgressMode> parse_progress_mode(std::string_view name);

class Progress {
 public:
  Progress(ProgressMode mode, uint64_t total_pages);

  // Prints when a line is due: every 5 seconds.
  void update(uint64_t pages_done, uint64_t bytes_written);

  [[nodiscard]] uint64_t elapsed_ms() const;

 private:
  void print(uint64_t pages_done, uint64_t bytes_written) const;

  ProgressMode mode_;
  uint64_t total_pages_;
  uint64_t start_ms_;
  uint64_t next_ms_;
};

}  // namespace dw
