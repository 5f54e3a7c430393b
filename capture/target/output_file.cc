#include "capture/target/output_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dw {

namespace {

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

Error already_there(const std::string& path, const char* hint) {
  return Error::from_errno("the file exists", EEXIST).on(path).hint(hint);
}

// Never replaces a file, not even one that appeared in this moment.
Status rename_new(const std::string& from, const std::string& to) {
  // musl has no renameat2() of its own yet.
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
    return {};
  if (errno != EINVAL && errno != ENOSYS) return Error::from_errno("cannot rename");
  if (exists(to)) return Error::from_errno("cannot rename", EEXIST);
  if (::rename(from.c_str(), to.c_str()) != 0) return Error::from_errno("cannot rename");
  return {};
}

}  // namespace

Result<Fd> open_nameless_file(const std::string& folder) {
  Result<Fd> file = open_file(folder.c_str(), O_TMPFILE | O_RDWR, 0600);
  if (file.ok()) return file;
  // Not every file system has files without a name.
  std::string path = folder + "/.dumpwright-XXXXXX";
  int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return Error::from_errno("cannot make a temporary file").on(folder);
  ::unlink(path.c_str());
  return Fd(fd);
}

Result<OutputFile> OutputFile::create(const std::string& path, bool rewritable) {
  if (exists(path)) return already_there(path, "name another one, or remove it");
  OutputFile output(path, rewritable);
  std::string staged = output.staged_path();
  if (exists(staged))
    return already_there(staged, "it is left over or being written; remove it if it is not");
  Result<Fd> file = open_file(staged.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!file.ok()) {
    Error error = file.error();
    return error.hint("name a file in a folder that exists and can be written to");
  }
  output.file_ = std::move(*file);
  output.staged_ = true;
  return output;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      rewritable_(other.rewritable_),
      file_(std::move(other.file_)),
      sums_(std::move(other.sums_)),
      sums_size_(other.sums_size_),
      staged_(std::exchange(other.staged_, false)) {}

OutputFile::~OutputFile() {
  if (staged_) ::unlink(staged_path().c_str());
}

std::string OutputFile::folder() const {
  size_t slash = path_.rfind('/');
  return slash == std::string::npos ? "." : path_.substr(0, std::max<size_t>(slash, 1));
}

Error OutputFile::failed(const Error& error) const {
  Error told = error;
  if (told.kind() == ErrorKind::kNoSpace) told.hint("free some space there or name another file");
  return told.on(path_);
}

Status OutputFile::preallocate(uint64_t offset, uint64_t length) {
  if (!rewritable_ || length == 0) return {};
  int error =
      ::posix_fallocate(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(length));
  if (error == 0) return {};
  // Holes read as zeros too; running out of space is then found later.
  if (error != EOPNOTSUPP && error != EINVAL)
    return failed(Error::from_errno("cannot make room", error));
  struct stat status;
  uint64_t end = offset + length;
  if (::fstat(file_.get(), &status) == 0 && static_cast<uint64_t>(status.st_size) >= end) return {};
  if (::ftruncate(file_.get(), static_cast<off_t>(end)) != 0)
    return failed(Error::from_errno("cannot make room"));
  return {};
}

Status OutputFile::write_at(uint64_t offset, Bytes bytes) {
  Status written = write_all_at(file_.get(), bytes, offset);
  if (!written.ok()) return failed(written.error());
  return {};
}

Status OutputFile::read_at(uint64_t offset, MutableBytes into) {
  DW_ASSIGN(size_t n, read_up_to_at(file_.get(), into, offset));
  // Bitmaps may end in holes that nobody wrote yet.
  std::fill(into.begin() + static_cast<ptrdiff_t>(n), into.end(), std::byte{0});
  return {};
}

Result<uint64_t> OutputFile::size() { return file_size(file_.get()); }

Status OutputFile::truncate(uint64_t length) {
  if (::ftruncate(file_.get(), static_cast<off_t>(length)) != 0)
    return failed(Error::from_errno("cannot truncate"));
  return {};
}

Status OutputFile::append_sums(Bytes bytes) {
  if (!sums_.valid()) {
    DW_ASSIGN(sums_, open_nameless_file(folder()));
  }
  Status written = write_all_at(sums_.get(), bytes, sums_size_);
  if (!written.ok()) return failed(written.error());
  sums_size_ += bytes.size();
  return {};
}

Status OutputFile::read_sums(uint64_t offset, MutableBytes into) {
  return read_exact_at(sums_.get(), into, offset);
}

Status OutputFile::cut_sums(uint64_t size) {
  if (sums_.valid() && ::ftruncate(sums_.get(), static_cast<off_t>(size)) != 0)
    return failed(Error::from_errno("cannot truncate"));
  sums_size_ = size;
  return {};
}

Status OutputFile::sync() {
  if (::fdatasync(file_.get()) != 0) return failed(Error::from_errno("cannot sync"));
  return {};
}

Status OutputFile::commit() {
  if (::fsync(file_.get()) != 0) return failed(Error::from_errno("cannot sync"));
  Status closed = file_.close();
  if (!closed.ok()) return failed(closed.error());
  Status renamed = rename_new(staged_path(), path_);
  if (!renamed.ok()) return failed(renamed.error());
  staged_ = false;
  DW_ASSIGN(Fd directory, open_file(folder().c_str(), O_RDONLY | O_DIRECTORY));
  if (::fsync(directory.get()) != 0) return Error::from_errno("cannot sync the folder").on(path_);
  return {};
}

}  // namespace dw
