#include "capture/report/progress.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "capture/base/clock.h"
#include "capture/report/message.h"

namespace dw {

namespace {

constexpr uint64_t kIntervalMs = 5000;

}  // namespace

std::optional<ProgressMode> parse_progress_mode(std::string_view name) {
  if (name == "auto" || name == "plain") return ProgressMode::kPlain;
  if (name == "json") return ProgressMode::kJson;
  if (name == "none") return ProgressMode::kNone;
  return std::nullopt;
}

Progress::Progress(ProgressMode mode, uint64_t total_pages)
    : mode_(mode),
      total_pages_(total_pages),
      start_ms_(monotonic_ms()),
      next_ms_(start_ms_ + kIntervalMs) {}

uint64_t Progress::elapsed_ms() const { return monotonic_ms() - start_ms_; }

void Progress::update(uint64_t pages_done, uint64_t bytes_written) {
  if (mode_ == ProgressMode::kNone) return;
  uint64_t now = monotonic_ms();
  if (now < next_ms_) return;
  next_ms_ = now + kIntervalMs;
  print(pages_done, bytes_written);
}

void Progress::print(uint64_t pages_done, uint64_t bytes_written) const {
  uint64_t elapsed = elapsed_ms();
  uint64_t left = pages_done == 0 ? 0 : elapsed * (total_pages_ - pages_done) / pages_done;
  if (mode_ == ProgressMode::kJson) {
    char line[200];
    int n =
        std::snprintf(line, sizeof(line),
                      "{\"pages\": %" PRIu64 ", \"total_pages\": %" PRIu64 ", \"bytes\": %" PRIu64
                      ", \"elapsed_ms\": %" PRIu64 ", \"left_ms\": %" PRIu64 "}\n",
                      pages_done, total_pages_, bytes_written, elapsed, left);
    write_to_console({line, static_cast<size_t>(n)});
    return;
  }
  print_message("%3" PRIu64 " %%, %" PRIu64 " of %" PRIu64 " pages, %" PRIu64
                " MiB written, %" PRIu64 " s, about %" PRIu64 " s left",
                pages_done * 100 / std::max<uint64_t>(total_pages_, 1), pages_done, total_pages_,
                bytes_written >> 20, elapsed / 1000, left / 1000);
}

}  // namespace dw
