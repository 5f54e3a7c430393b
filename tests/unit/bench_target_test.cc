#include "capture/cli/bench_target.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr TargetLimits kShort = {.bytes = 6 << 20, .time_ms = 60000};

// No file of this process grows beyond `bytes`: EFBIG, which counts as no space.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  struct rlimit before_ {};
  void (*handler_)(int) = nullptr;
};

}  // namespace

TEST_CASE("bench target: writes what was asked for and leaves nothing") {
  TempDir dir;
  write_file(dir / "vmcore.new", "precious");
  Result<TargetSpeed> speed = measure_target(dir.path(), kShort);
  REQUIRE_MESSAGE(speed.ok(), text_of(speed));
  CHECK(speed->bytes == kShort.bytes);
  CHECK(speed->mb_per_s() > 0);
  CHECK(speed->free_bytes > 0);
  CHECK_FALSE(speed->filled);
  CHECK(dir.tree() == std::vector<std::string>{"vmcore.new"});
  CHECK(read_file(dir / "vmcore.new") == "precious");
}

TEST_CASE("bench target: a directory of the name that it would take is left alone") {
  TempDir dir;
  std::string name = "dumpwright-bench-" + std::to_string(::getpid()) + "-0";
  write_file(dir / name, "precious");
  CHECK(measure_target(dir.path(), kShort).ok());
  CHECK(dir.tree() == std::vector<std::string>{name});
}

TEST_CASE("bench target: stops when its time is over") {
  TempDir dir;
  Result<TargetSpeed> speed = measure_target(dir.path(), {.bytes = 1 << 30, .time_ms = 1});
  REQUIRE(speed.ok());
  CHECK(speed->bytes < 1 << 30);
  CHECK(dir.tree().empty());
}

TEST_CASE("bench target: full before enough is written, and after") {
  bool may_mount = enter_private_mounts();
  CHECK_MESSAGE(may_mount, "run this as root: it mounts a small file system of its own");
  if (!may_mount) return;
  TempDir dir;
  // In memory nothing is held back until the next sync.
  SmallDisk disk(dir.path(), "size=64m");
  {
    FileSizeLimit limit(1 << 20);
    Result<TargetSpeed> speed = measure_target(dir.path());
    REQUIRE_FALSE(speed.ok());
    CHECK(speed.error().kind() == ErrorKind::kNoSpace);
    CHECK(contains(text_of(speed), dir.path()));
    CHECK(contains(text_of(speed), "free some space there or name another target"));
  }
  CHECK(dir.tree().empty());
  {
    FileSizeLimit limit(9 << 20);
    Result<TargetSpeed> speed = measure_target(dir.path());
    REQUIRE_MESSAGE(speed.ok(), text_of(speed));
    CHECK(speed->filled);
    CHECK(speed->bytes > 4 << 20);
    CHECK(speed->bytes <= 9 << 20);
  }
  CHECK(dir.tree().empty());
}

TEST_CASE("bench target: nothing that is no directory, and none is made") {
  TempDir dir;
  write_file(dir / "file", "precious");
  Result<TargetSpeed> file = measure_target(dir / "file");
  CHECK(contains(text_of(file), dir / "file: "));
  CHECK(contains(text_of(file), "the target must be a directory"));
  Result<TargetSpeed> missing = measure_target(dir / "missing");
  CHECK(contains(text_of(missing), "bench makes no directory"));
  CHECK(dir.tree() == std::vector<std::string>{"file"});
}

TEST_CASE("bench target: a signal ends the program only once the file is gone") {
  TimeLimit limit(60);
  TempDir dir;
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGTERM, SIG_DFL);  // the test runner has its own
    (void)measure_target(dir.path(), {.bytes = uint64_t{1} << 40, .time_ms = 50000});
    ::_exit(0);
  }
  while (dir.tree().size() < 2) ::usleep(1000);
  ::kill(child, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(dir.tree().empty());
}
