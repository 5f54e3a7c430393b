#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "initrd-hooks/standalone/final_action.h"
#include "initrd-hooks/standalone/supervise.h"
#include "initrd-hooks/standalone/watchdog.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

// A file instead of the device: what is written to it stays to be read.
struct Kennel {
  test::TempDir dir;
  std::string path = dir / "watchdog";

  void add(int number) const { test::write_file(path + std::to_string(number), ""); }
  void add_without_number() const { test::write_file(path, ""); }
  [[nodiscard]] std::string eaten(int number) const {
    return test::read_file(path + std::to_string(number));
  }
};

std::string food(size_t count) { return std::string(count, '\0'); }

// A shell that ends when watchdog 1 has eaten this much, or in vain.
[[noreturn]] void be_shell_until(const Kennel& kennel, size_t eaten) {
  for (int i = 0; i < 600 && kennel.eaten(1).size() < eaten; i++) ::usleep(50 * 1000);
  ::_exit(0);
}

// A terminal in exclusive mode cannot be opened once more (EBUSY), as a watchdog cannot: not
// without CAP_SYS_ADMIN, which this thread lacks meanwhile.
class BusyDevice {
 public:
  BusyDevice() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(::unlockpt(master_.get()) == 0);
    slave_ = Fd(::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(::ioctl(slave_.get(), TIOCEXCL) == 0);
    REQUIRE(::syscall(SYS_capget, &header_, had_) == 0);
    __user_cap_data_struct less[] = {had_[0], had_[1]};
    less[0].effective &= ~(1U << CAP_SYS_ADMIN);
    REQUIRE(::syscall(SYS_capset, &header_, less) == 0);
  }
  BusyDevice(const BusyDevice&) = delete;
  BusyDevice& operator=(const BusyDevice&) = delete;
  ~BusyDevice() { ::syscall(SYS_capset, &header_, had_); }

  [[nodiscard]] const char* path() const { return ::ptsname(master_.get()); }

 private:
  Fd master_;
  Fd slave_;
  __user_cap_header_struct header_{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct had_[2] = {};
};

// How often the watchdog was fed while a child that does `work` was supervised.
size_t fed_while(int (*work)(SharedProgress&, const void*), Supervision supervision) {
  Kennel kennel;
  kennel.add(0);
  Log log(-1);
  Watchdog watchdog(log, kennel.path);
  auto progress = SharedProgress::make_shared();
  REQUIRE(progress.ok());
  supervision.work = work;
  supervision.watchdog = &watchdog;
  supervision.tick_ms = 20;
  supervise(supervision, **progress, log);
  return kennel.eaten(0).size();
}

}  // namespace

TEST_CASE("watchdog: fed once a period, from the moment that its driver is there") {
  Kennel kennel;
  Log log(-1);
  Watchdog watchdog(log, kennel.path);
  watchdog.feed(0);
  CHECK_FALSE(watchdog.is_there());
  kennel.add(1);
  watchdog.feed(kWatchdogPeriodMs - 1);
  CHECK_FALSE(watchdog.is_there());
  watchdog.feed(kWatchdogPeriodMs);
  CHECK(watchdog.is_there());
  kennel.add(0);
  watchdog.feed(2 * kWatchdogPeriodMs);
  watchdog.feed(2 * kWatchdogPeriodMs + 1);
  CHECK(kennel.eaten(0) == food(1));
  CHECK(kennel.eaten(1) == food(2));
}

TEST_CASE("watchdog: one without a number is fed, unless number 0 has that name too") {
  Log log(-1);
  SUBCASE("alone, or beside others") {
    Kennel kennel;
    kennel.add_without_number();
    kennel.add(1);
    Watchdog watchdog(log, kennel.path);
    watchdog.feed(0);
    watchdog.feed(kWatchdogPeriodMs);
    CHECK(test::read_file(kennel.path) == food(2));
    CHECK(kennel.eaten(1) == food(2));
    watchdog.disarm(false);
    CHECK(test::read_file(kennel.path).back() == 'V');
  }
  SUBCASE("not beside number 0") {
    Kennel kennel;
    kennel.add_without_number();
    kennel.add(0);
    Watchdog watchdog(log, kennel.path);
    watchdog.feed(0);
    CHECK(test::read_file(kennel.path).empty());
    CHECK(kennel.eaten(0) == food(1));
  }
}

TEST_CASE("watchdog: that somebody else has one open is told, once") {
  Kennel kennel;
  BusyDevice device;
  for (const char* name : {"watchdog", "watchdog0"})
    std::filesystem::create_symlink(device.path(), kennel.dir / name);
  test::CapturedOutput said;
  Log log(said.fd());
  Watchdog watchdog(log, kennel.path);
  watchdog.feed(0);
  watchdog.feed(kWatchdogPeriodMs);
  CHECK_FALSE(watchdog.is_there());
  CHECK(said.text() == "dumpwright: watchdog: somebody else has " + kennel.path +
                           "0 open and may feed it even if this hangs\n");
}

TEST_CASE("watchdog: disarmed for a machine that is to stay halted, and only then") {
  Kennel kennel;
  kennel.add(0);
  Log log(-1);
  {
    Watchdog watchdog(log, kennel.path);
    watchdog.feed(0);
  }
  CHECK(kennel.eaten(0) == food(1));
  Watchdog watchdog(log, kennel.path);
  watchdog.feed(0);
  watchdog.disarm(false);
  CHECK_FALSE(watchdog.is_there());
  CHECK(kennel.eaten(0).back() == 'V');
}

TEST_CASE("watchdog: one that the kernel does not stop is fed as long as the shell lives") {
  Kennel kennel;
  kennel.add(0);
  kennel.add(1);
  Log log(-1);
  // Of the two, that which was opened first; then none.
  static int stoppable;
  stoppable = 1;
  Watchdog watchdog(log, kennel.path, [](int) { return stoppable-- > 0; });
  watchdog.feed(0);
  SUBCASE("where one is there") {
    std::string stopped = kennel.eaten(0) + 'V';
    std::string refuses = kennel.eaten(1) + 'V';
    watchdog.disarm(true);
    CHECK(watchdog.is_there());
    kennel.add(2);
    std::fflush(nullptr);
    pid_t shell = ::fork();
    if (shell == 0) be_shell_until(kennel, refuses.size() + 2);
    feed_until_end(shell, watchdog);
    CHECK(kennel.eaten(1).starts_with(refuses + food(2)));
    // Nothing is armed again, nor anew.
    CHECK(kennel.eaten(0) == stopped);
    CHECK(kennel.eaten(2).empty());
  }
  SUBCASE("but not without one") {
    watchdog.disarm(false);
    CHECK_FALSE(watchdog.is_there());
  }
}

TEST_CASE("watchdog: not fed any more when the capture does not move, though it has no limit") {
  size_t fed = fed_while(
      [](SharedProgress& progress, const void*) -> int {
        progress.begin_capture();
        for (;;) ::pause();
      },
      {.capture_timeout_ms = 3500, .kill_grace_ms = 5000, .feed_limit_ms = 1});
  // Not more than when the child began, and before its first step was noticed.
  CHECK(fed <= 2);
}

TEST_CASE("watchdog: fed while the capture moves") {
  size_t fed = fed_while(
      [](SharedProgress& progress, const void*) -> int {
        progress.begin_capture();
        for (int i = 0; i < 25; i++) {
          ::usleep(100 * 1000);
          progress.beat();
        }
        return 0;
      },
      {.kill_grace_ms = 5000, .feed_limit_ms = 60000});
  CHECK(fed >= 2);
}
