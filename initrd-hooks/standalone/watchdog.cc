#include "initrd-hooks/standalone/watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dw {

namespace {

constexpr char kFood = '\0';
constexpr char kMayBeClosed = 'V';
constexpr char kIsFed[] = "is fed as long as the shell lives";
constexpr char kIsNotFed[] = "may reset the machine";

bool write_one(int fd, char character) { return ::write(fd, &character, 1) == 1; }

}  // namespace

bool stop_watchdog(int fd) {
  int options = WDIOS_DISABLECARD;
  return ::ioctl(fd, WDIOC_SETOPTIONS, &options) == 0;
}

void Watchdog::look_for(int& fd, const std::string& path) {
  fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == EBUSY && !std::exchange(told_busy_, true))
      log_.say("watchdog: somebody else has %s open and may feed it even if this hangs",
               path.c_str());
    return;
  }
  // A driver that cannot do so keeps its own time.
  int seconds = kWatchdogSeconds;
  if (::ioctl(fd, WDIOC_SETTIMEOUT, &seconds) != 0 && ::ioctl(fd, WDIOC_GETTIMEOUT, &seconds) != 0)
    seconds = 0;
  log_.say("watchdog: %s is fed while the capture moves, and resets the machine after %d s",
           path.c_str(), seconds);
}

void Watchdog::look_for_all() {
  for (int number = 0; number < kMaxWatchdogs; number++) {
    int& fd = fds_[static_cast<size_t>(number)];
    if (fd < 0) look_for(fd, path_ + std::to_string(number));
  }
  // Number 0 has the other name too, and can be opened once.
  if (fds_.front() < 0 && fds_.back() < 0) look_for(fds_.back(), path_);
}

void Watchdog::feed(int64_t now_ms) {
  if (now_ms - fed_ms_ < kWatchdogPeriodMs) return;
  fed_ms_ = now_ms;
  if (!disarmed_) look_for_all();
  for (int fd : fds_)
    if (fd >= 0) write_one(fd, kFood);
}

void Watchdog::disarm(bool feed_on) {
  disarmed_ = true;
  for (int& fd : fds_) {
    if (fd < 0) continue;
    // In this order: some drivers start anew with any write.
    write_one(fd, kMayBeClosed);
    bool stopped = stop_(fd);
    if (!stopped) log_.say("watchdog: it is not stopped, and %s", feed_on ? kIsFed : kIsNotFed);
    if (!stopped && feed_on) continue;
    ::close(fd);
    fd = -1;
  }
}

bool Watchdog::is_there() const {
  return std::ranges::any_of(fds_, [](int fd) { return fd >= 0; });
}

}  // namespace dw
