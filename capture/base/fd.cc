#include "capture/base/fd.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dw {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  // Whoever cares what close says calls close() first.
  if (fd_ >= 0) ::close(fd_);
}

Status Fd::close() {
  int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) return Error::from_errno("cannot close");
  return {};
}

Result<Fd> open_file(const char* path, int flags, unsigned mode) {
  return open_file_at(AT_FDCWD, path, flags, mode);
}

Result<Fd> open_file_at(int directory, const char* name, int flags, unsigned mode) {
  int fd;
  do {
    fd = ::openat(directory, name, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Error::from_errno("cannot open").on(name);
  return Fd(fd);
}

Result<Fd> open_small_file(const char* path) {
  DW_ASSIGN(Fd file, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return Error::from_errno("cannot look at it").on(path);
  // Reading says what a directory is.
  if (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode) || S_ISDIR(status.st_mode)) return file;
  return Error(ErrorKind::kBadInput, "is no regular file").on(path);
}

Result<ReadableFile> ReadableFile::duplicate(const FileView& file) {
  Fd fd(::fcntl(file.fd(), F_DUPFD_CLOEXEC, 3));
  if (!fd.valid()) return Error::from_errno("cannot duplicate the descriptor");
  if (!file.size()) return ReadableFile(std::move(fd));
  return ReadableFile(std::move(fd), file.begin(), *file.size());
}

Result<uint64_t> file_size(const FileView& file) {
  if (file.size()) return *file.size();
  struct stat status;
  if (::fstat(file.fd(), &status) != 0) return Error::from_errno("cannot get the size");
  if (S_ISBLK(status.st_mode)) {
    uint64_t size = 0;
    if (::ioctl(file.fd(), BLKGETSIZE64, &size) != 0)
      return Error::from_errno("cannot get the size");
    return size;
  }
  return static_cast<uint64_t>(status.st_size);
}

Result<size_t> read_up_to_at(const FileView& file, MutableBytes into, uint64_t offset) {
  if (file.size())
    into =
        into.first(std::min<uint64_t>(into.size(), *file.size() - std::min(offset, *file.size())));
  size_t done = 0;
  while (done < into.size()) {
    ssize_t n = ::pread(file.fd(), into.data() + done, into.size() - done,
                        static_cast<off_t>(file.begin() + offset + done));
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno("cannot read").at(Where::kOffset, offset + done);
    }
    done += static_cast<size_t>(n);
  }
  return done;
}

Status read_exact_at(const FileView& file, MutableBytes into, uint64_t offset) {
  DW_ASSIGN(size_t done, read_up_to_at(file, into, offset));
  if (done < into.size())
    return Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset + done);
  return {};
}

Status write_all_at(int fd, Bytes from, uint64_t offset) {
  size_t done = 0;
  while (done < from.size()) {
    ssize_t n =
        ::pwrite(fd, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno("cannot write").at(Where::kOffset, offset + done);
    }
    // A write of nothing without an error would loop for ever.
    if (n == 0) return Error::from_errno("cannot write", ENOSPC).at(Where::kOffset, offset + done);
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace dw
