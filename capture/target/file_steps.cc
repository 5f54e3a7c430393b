#include "capture/target/file_steps.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "capture/base/fd.h"

namespace dw {

namespace {

// Dirty pages are memory that the capture kernel does not have.
constexpr uint64_t kZerosAtOnce = 2 << 20;

const char* hint_for(int errno_value) {
  switch (errno_value) {
    case ENOTDIR:
      return "the target must be a directory";
    case EROFS:
      return "mount it read-write or name another target";
    case EACCES:
    case EPERM:
      return "check the permissions or name another target";
    case ENOSPC:
    case EDQUOT:
      return "free some space there or name another target";
    case EFBIG:
      return "no larger file is possible there: name another target";
    default:
      return nullptr;
  }
}

// musl has no renameat2() of its own yet.
int rename_with(int directory, const char* from, const char* to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, directory, from, directory, to, flags));
}

// Makes the entries of the directory that holds `path` durable.
Status sync_parent(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string parent =
      slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  DW_ASSIGN(Fd directory, open_file(parent.c_str(), O_RDONLY | O_DIRECTORY));
  return sync_fd(directory.get(), "cannot sync the directory");
}

}  // namespace

Error with_hint(Error error) {
  if (const char* hint = hint_for(error.errno_value())) error.hint(hint);
  return error;
}

Result<bool> exists_in(int directory, const char* name) {
  struct stat status;
  if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return Error::from_errno("cannot look at").on(name);
}

bool is_named(int fd, int directory, const char* name) {
  struct stat ours;
  struct stat named;
  return ::fstat(fd, &ours) == 0 && ::fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

Status sync_fd(int fd, const char* what) {
  if (::fsync(fd) != 0) return Error::from_errno(what);
  return {};
}

void read_without_readahead(int fd) { (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); }

Status forget_cached(int fd) {
  int error = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return error == 0 ? Status() : Error::from_errno("cannot read back from the disk", error);
}

Status make_directories(const std::string& path) {
  for (size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
    std::string part = path.substr(0, end);
    bool made = ::mkdir(part.c_str(), 0755) == 0;
    if (!made && errno != EEXIST)
      return with_hint(Error::from_errno("cannot make the directory").on(part));
    if (made) DW_TRY(sync_parent(part));
    if (end == std::string::npos) return {};
  }
}

Status rename_in(int directory, const char* from, const char* to) {
  if (rename_with(directory, from, to, RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return Error::from_errno("cannot rename");
  DW_ASSIGN(bool exists, exists_in(directory, to));
  if (exists) return Error::from_errno("cannot rename", EEXIST);
  if (::renameat(directory, from, directory, to) != 0) return Error::from_errno("cannot rename");
  return {};
}

Result<bool> exchange_in(int directory, const char* one, const char* other) {
  if (rename_with(directory, one, other, RENAME_EXCHANGE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS || errno == ENOENT) return false;
  return Error::from_errno("cannot rename");
}

Result<bool> reserve_range(int fd, uint64_t begin, uint64_t end) {
  if (begin >= end) return true;
  int result;
  do {
    result = ::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                         static_cast<off_t>(end - begin));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return true;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
  return Error::from_errno("cannot reserve space");
}

Status give_back_room(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0 || ::ftruncate(fd, status.st_size) != 0)
    return Error::from_errno("cannot give back reserved space");
  return {};
}

Status write_zeros(int fd, uint64_t begin, uint64_t end) {
  static constexpr std::array<std::byte, 16 << 10> kZeros{};
  uint64_t dirty = 0;
  for (uint64_t at = begin; at < end;) {
    uint64_t n = std::min<uint64_t>(kZeros.size(), end - at);
    DW_TRY(write_all_at(fd, std::span(kZeros).first(n), at));
    at += n;
    dirty += n;
    if (dirty < kZerosAtOnce) continue;
    if (::fdatasync(fd) != 0) return Error::from_errno("cannot write to the disk");
    dirty = 0;
  }
  return {};
}

}  // namespace dw
