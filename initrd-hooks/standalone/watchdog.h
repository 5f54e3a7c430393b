// The hardware watchdog, which resets a machine that nobody feeds it for.
//
// Armed by being opened; fed by any write but that of 'V', which allows it to be closed without a
// reset (the kernel's Documentation/watchdog/watchdog-api.rst). A driver with `nowayout` is not
// stopped by that, nor by WDIOS_DISABLECARD, but only the latter says so. The kernel that crashed
// may have armed it, so the first ones are taken as soon as their drivers are there. A driver that
// does not use the kernel's watchdog core (ipmi_watchdog) has no number: its device is
// /dev/watchdog alone.
// Thread safety: one thread. Ownership: a watchdog stays armed when the object goes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "initrd-hooks/standalone/log.h"

namespace dw {

// Whether the watchdog that is open there was stopped.
bool stop_watchdog(int fd);

inline constexpr int kMaxWatchdogs = 4;
inline constexpr int kWatchdogSeconds = 60;
inline constexpr int64_t kWatchdogPeriodMs = 1000;

class Watchdog {
 public:
  // Its devices are `path` and a number from 0 on, or `path` where there is no number 0.
  explicit Watchdog(const Log& log, std::string path = "/dev/watchdog",
                    bool (*stop)(int fd) = stop_watchdog)
      : log_(log), path_(std::move(path)), stop_(stop), fds_(kMaxWatchdogs + 1, -1) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() = default;

  // Looks for more of them and feeds those that there are, at most once per period. That somebody
  // else has one open is told once.
  void feed(int64_t now_ms);
  // Disarms them, for a machine that is to stay as it is, and looks for no more of them. Those that
  // cannot be are reported. With `feed_on` they stay open for feed(), which has to go on while a
  // shell lives.
  void disarm(bool feed_on);

  [[nodiscard]] bool is_there() const;

 private:
  void look_for(int& fd, const std::string& path);
  void look_for_all();

  const Log& log_;
  std::string path_;
  bool (*stop_)(int fd);
  bool disarmed_ = false;
  std::vector<int> fds_;  // by number; the last one is that without
  bool told_busy_ = false;
  int64_t fed_ms_ = -kWatchdogPeriodMs;
};

}  // namespace dw
