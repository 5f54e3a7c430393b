#include "capture/target/pipe_target.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace dw {

namespace {

Error with_hint(Error error) {
  error.on("standard output");
  if (error.errno_value() == EPIPE) return error.hint("the program that read it has ended");
  if (error.kind() == ErrorKind::kNoSpace) return error.hint("free some space there");
  return error;
}

Error not_possible(const char* what) { return with_hint(Error(ErrorKind::kUnsupported, what)); }

}  // namespace

Result<PipeTarget> PipeTarget::open_stdout() {
  if (::isatty(STDOUT_FILENO) == 1)
    return Error(ErrorKind::kUsage, "is a terminal")
        .on("standard output")
        .hint("redirect it to a file or a program");
  Fd fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return with_hint(Error::from_errno("cannot use"));
  return PipeTarget(std::move(fd));
}

PipeTarget::PipeTarget(Fd fd) : fd_(std::move(fd)) {
  struct stat status;
  is_file_ =
      ::fstat(fd_.get(), &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

PipeTarget::PipeTarget(PipeTarget&& other) noexcept
    : fd_(std::move(other.fd_)),
      is_file_(other.is_file_),
      written_(other.written_),
      failed_(other.failed_) {}

Status PipeTarget::write_at(uint64_t offset, Bytes bytes) {
  if (failed_) return *failed_;
  DW_CHECK(offset == written_);
  Status written = write_all(bytes);
  if (!written.ok()) failed_ = written.error();
  return written;
}

Status PipeTarget::write_all(Bytes bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      DW_TRY(wait());
      continue;
    }
    if (n <= 0)
      return with_hint(
          Error::from_errno("cannot write", n < 0 ? errno : EIO).at(Where::kOffset, written_));
    bytes = bytes.subspan(static_cast<size_t>(n));
    written_ += static_cast<uint64_t>(n);
  }
  return {};
}

Status PipeTarget::wait() {
  pollfd descriptor{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  while (::poll(&descriptor, 1, -1) < 0)
    if (errno != EINTR) return with_hint(Error::from_errno("cannot wait for"));
  return {};
}

Status PipeTarget::read_at(uint64_t, MutableBytes) { return not_possible("cannot be read back"); }

Status PipeTarget::append_sums(Bytes) { return not_possible("has no place for sums"); }

Status PipeTarget::read_sums(uint64_t, MutableBytes) {
  return not_possible("has no place for sums");
}

Status PipeTarget::sync() {
  if (failed_) return *failed_;
  if (!is_file_ || ::fdatasync(fd_.get()) == 0) return {};
  // The kernel tells it once; what was written before may be lost all the same.
  failed_ = with_hint(Error::from_errno("cannot sync"));
  return *failed_;
}

}  // namespace dw
