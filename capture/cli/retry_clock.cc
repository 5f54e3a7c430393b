#include "capture/cli/retry_clock.h"

#include <time.h>

#include <algorithm>

#include "capture/base/clock.h"

namespace dw {

namespace {

constexpr uint64_t kFirstPauseMs = 500;
constexpr uint64_t kLongestPauseMs = 5000;
constexpr uint64_t kSliceMs = 250;

void sleep_ms(uint64_t ms) {
  timespec time{.tv_sec = static_cast<time_t>(ms / 1000),
                .tv_nsec = static_cast<long>(ms % 1000) * 1000000};
  ::nanosleep(&time, nullptr);
}

}  // namespace

bool RetryClock::wait(uint64_t progress) {
  uint64_t now = monotonic_ms();
  if (!begun_ || progress > most_) {
    begun_ms_ = now;
    pause_ms_ = kFirstPauseMs;
  }
  begun_ = true;
  most_ = std::max(most_, progress);
  uint64_t end = begun_ms_ + limit_ms_;
  if (now >= end) return false;
  uint64_t until = std::min(end, now + pause_ms_);
  pause_ms_ = std::min(2 * pause_ms_, kLongestPauseMs);
  for (; now < until; now = monotonic_ms()) {
    events_->on_progress();
    sleep_ms(std::min(kSliceMs, until - now));
  }
  return true;
}

}  // namespace dw
