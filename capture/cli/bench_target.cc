#include "capture/cli/bench_target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "capture/base/buffer.h"
#include "capture/base/clock.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/target/file_target.h"

namespace dw {

namespace {

// As of a batch that shrinks to half; no multiple of any block size.
constexpr size_t kWriteBytes = (512 << 10) - 37;
// With less room than this nothing can be said.
constexpr uint64_t kMinBytes = 4 << 20;
constexpr unsigned kMaxNames = 100;

volatile std::sig_atomic_t caught_signal = 0;
void remember_signal(int number) { caught_signal = number; }

// While it lives, a signal that would end the program is only remembered; then it ends it.
class SignalsHeldBack {
 public:
  SignalsHeldBack() {
    caught_signal = 0;
    struct sigaction action {};
    action.sa_handler = remember_signal;
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      ::sigaction(kSignals[i], nullptr, &before_[i]);
      // nohup(1) and the like ignore some.
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
    }
  }
  SignalsHeldBack(const SignalsHeldBack&) = delete;
  SignalsHeldBack& operator=(const SignalsHeldBack&) = delete;
  ~SignalsHeldBack() {
    for (size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    if (caught_signal != 0) ::raise(caught_signal);
  }

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[std::size(kSignals)]{};
};

// A directory of our own, which was not there before. Goes away with the object.
class OwnDirectory {
 public:
  OwnDirectory(int root, std::string name) : root_(root), name_(std::move(name)) {}
  OwnDirectory(OwnDirectory&& other) noexcept
      : root_(std::exchange(other.root_, -1)), name_(std::move(other.name_)) {}
  OwnDirectory& operator=(OwnDirectory&&) = delete;
  // The target may have removed it already; what cannot be removed is not ours.
  ~OwnDirectory() {
    if (root_ >= 0) (void)::unlinkat(root_, name_.c_str(), AT_REMOVEDIR);
  }
  [[nodiscard]] const std::string& name() const { return name_; }

  static Result<OwnDirectory> make(int root) {
    for (unsigned i = 0; i < kMaxNames; ++i) {
      std::string name = "dumpwright-bench-" + std::to_string(::getpid()) + "-" + std::to_string(i);
      if (::mkdirat(root, name.c_str(), 0700) == 0) return OwnDirectory(root, name);
      if (errno != EEXIST) break;
    }
    return Error::from_errno("cannot make a directory there");
  }

 private:
  int root_;
  std::string name_;
};

const char* hint_for(const Error& error) {
  if (error.kind() == ErrorKind::kNoSpace) return "free some space there or name another target";
  if (error.errno_value() == ENOENT) return "bench makes no directory: name one that exists";
  if (error.errno_value() == ENOTDIR) return "the target must be a directory";
  if (error.errno_value() == EROFS) return "mount it read-write or name another target";
  return "check the permissions or name another target";
}

// Bytes that no file system can compress.
void fill_random(MutableBytes bytes) {
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    store(bytes, at, state);
  }
}

Status write_test_file(FileTarget& target, uint64_t limit, uint64_t time_ms, TargetSpeed& speed) {
  // Another piece of it each time, so that no file system finds the same block twice.
  DW_ASSIGN(Buffer content, Buffer::allocate(8 * kWriteBytes));
  fill_random(content.bytes());
  uint64_t begin = monotonic_ns();
  CheckpointClock checkpoint;
  checkpoint.restart(0);
  Status written;
  while (written.ok() && speed.bytes < limit && caught_signal == 0 &&
         monotonic_ns() - begin < time_ms * 1000000) {
    size_t size = std::min<uint64_t>(kWriteBytes, limit - speed.bytes);
    size_t at = speed.bytes * 7 % (content.size() - kWriteBytes);
    written = target.append(speed.bytes, std::as_const(content).bytes().subspan(at, size));
    if (!written.ok()) break;
    speed.bytes += size;
    if (!checkpoint.due(speed.bytes)) continue;
    written = target.sync();
    checkpoint.restart(speed.bytes);
  }
  speed.filled = !written.ok() && written.error().kind() == ErrorKind::kNoSpace;
  // What fitted says enough.
  if (!written.ok() && (!speed.filled || speed.bytes < kMinBytes)) return written;
  DW_TRY(target.sync());
  speed.elapsed_ns = monotonic_ns() - begin;
  return {};
}

Result<TargetSpeed> measure(const std::string& directory, const TargetLimits& limits) {
  DW_ASSIGN(Fd root, open_file(directory.c_str(), O_RDONLY | O_DIRECTORY));
  struct statvfs space;
  if (::fstatvfs(root.get(), &space) != 0) return Error::from_errno("cannot look at");
  TargetSpeed speed;
  speed.path = directory;
  speed.free_bytes = uint64_t{space.f_bavail} * space.f_frsize;
  uint64_t limit = std::min(limits.bytes, speed.free_bytes / 2);
  if (limit < kMinBytes) return Error::from_errno("too little room to measure", ENOSPC);

  SignalsHeldBack held_back;
  DW_ASSIGN(OwnDirectory own, OwnDirectory::make(root.get()));
  DW_ASSIGN(FileTarget target,
            FileTarget::create(root.get(), own.name(), directory + "/" + own.name()));
  DW_TRY(write_test_file(target, limit, limits.time_ms, speed));
  return speed;
}

}  // namespace

Result<TargetSpeed> measure_target(const std::string& directory, const TargetLimits& limits) {
  Result<TargetSpeed> speed = measure(directory, limits);
  if (speed.ok()) return speed;
  Error error = speed.error();
  return error.on(directory).hint(hint_for(error));
}

}  // namespace dw
