#include "capture/target/file_target.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace dw {

namespace {

// Written data is handed to the disk in pieces of this size, and at most two are under way: dirty
// pages are memory that the capture kernel does not have.
constexpr uint64_t kWritebackBytes = 2 << 20;

constexpr const char* kRunningHint = "another capture of this crash is running";
constexpr const char* kFullHint = "free some space there or name another target";

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
      return kFullHint;
    case EFBIG:
      return "no larger file is possible there: name another target";
    default:
      return nullptr;
  }
}

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

Status sync_fd(int fd, const char* what) {
  if (::fsync(fd) != 0) return Error::from_errno(what);
  return {};
}

std::string incomplete_name(const char* dump) {
  return std::string(dump) + std::string(kIncompleteSuffix);
}

// Makes the entries of the directory that holds `path` durable.
Status sync_parent(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string parent =
      slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  DW_ASSIGN(Fd directory, open_file(parent.c_str(), O_RDONLY | O_DIRECTORY));
  return sync_fd(directory.get(), "cannot sync the directory");
}

// mkdir -p, one component after the other.
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

// Renames within a directory. A file that is there already is never replaced, not even by a race.
Status rename_in(int directory, const char* from, const char* to) {
  // musl has no renameat2() of its own yet.
  if (::syscall(SYS_renameat2, directory, from, directory, to, RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return Error::from_errno("cannot rename");
  DW_ASSIGN(bool exists, exists_in(directory, to));
  if (exists) return Error::from_errno("cannot rename", EEXIST);
  if (::renameat(directory, from, directory, to) != 0) return Error::from_errno("cannot rename");
  return {};
}

}  // namespace

Result<Fd> FileTarget::open_root(const std::string& directory) {
  DW_TRY(make_directories(directory));
  Result<Fd> root = open_file(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (!root.ok()) return with_hint(root.error());
  return root;
}

Result<StandingDump> FileTarget::look(int root, const std::string& name) {
  for (Standing standing : {Standing::kSealed, Standing::kIncomplete}) {
    for (const char* dump : kDumpNames) {
      std::string file = standing == Standing::kSealed ? dump : incomplete_name(dump);
      DW_ASSIGN(bool exists, exists_in(root, (name + "/" + file).c_str()));
      if (exists) return StandingDump{.standing = standing, .file = file};
    }
  }
  struct stat status;
  bool other =
      ::fstatat(root, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode);
  return StandingDump{.standing = other ? Standing::kOther : Standing::kNothing, .file = {}};
}

Status FileTarget::seal_finished(int root, const std::string& name, const std::string& file_name) {
  DW_CHECK(file_name.ends_with(kIncompleteSuffix));
  std::string sealed = file_name.substr(0, file_name.size() - kIncompleteSuffix.size());
  DW_ASSIGN(Fd directory, open_file_at(root, name.c_str(), O_RDONLY | O_DIRECTORY));
  DW_ASSIGN(Fd file, open_file_at(directory.get(), file_name.c_str(), O_RDWR));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return Error::from_errno("cannot lock").on(name).hint(kRunningHint);
  // What we read may stand in memory only.
  DW_TRY(sync_fd(file.get(), "cannot sync"));
  DW_TRY(rename_in(directory.get(), file_name.c_str(), sealed.c_str()));
  return sync_fd(directory.get(), "cannot sync the directory");
}

Result<FileTarget> FileTarget::create(int root, const std::string& name, const std::string& display,
                                      const char* file_name) {
  FileTarget target;
  target.file_name_ = file_name;
  target.name_ = name;
  target.display_ = display;
  DW_ASSIGN(target.root_, open_file_at(root, ".", O_RDONLY | O_DIRECTORY));
  if (::mkdirat(root, name.c_str(), 0700) != 0 && errno != EEXIST)
    return with_hint(Error::from_errno("cannot make the directory").on(display));
  DW_TRY(sync_fd(root, "cannot sync the target directory"));
  DW_ASSIGN(target.directory_, open_file_at(root, name.c_str(), O_RDONLY | O_DIRECTORY));
  Result<Fd> file = open_file_at(target.directory_.get(), kStagedName, O_RDWR | O_CREAT, 0600);
  if (!file.ok()) {
    // Leaves no empty directory behind; one with something in it stays.
    (void)::unlinkat(root, name.c_str(), AT_REMOVEDIR);
    return with_hint(Error(file.error()).on(target.path()));
  }
  target.file_ = std::move(*file);
  DW_TRY(target.take_staged_file());
  target.owned_ = true;
  target.direct_ = DirectAppender::create(target.directory_.get(), kStagedName, target.file_.get());
  // Of a run that was cut off, as a staged file may be. Writing to it would empty it anyway.
  (void)::unlinkat(target.directory_.get(), kSumsName, 0);
  return target;
}

Status FileTarget::take_staged_file() {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    Error error = Error::from_errno("cannot lock").on(path());
    return error.hint(kRunningHint);
  }
  // Between open and lock the file may have become another capture's dump: then it is not ours, and
  // neither are the sums.
  struct stat ours;
  struct stat named;
  bool same = ::fstat(file_.get(), &ours) == 0 &&
              ::fstatat(directory_.get(), kStagedName, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
              ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
  DW_ASSIGN(StandingDump other, look(root_.get(), name_));
  if (!same || other.standing != Standing::kNothing) {
    Error error = Error::from_errno("changed while it was opened", EBUSY).on(path());
    return error.hint(kRunningHint);
  }
  // A staged file from a run that was cut off was never a dump: start it again.
  if (::ftruncate(file_.get(), 0) != 0) return failed(Error::from_errno("cannot truncate"));
  return {};
}

FileTarget::FileTarget(FileTarget&& other) noexcept
    : root_(std::move(other.root_)),
      directory_(std::move(other.directory_)),
      file_(std::move(other.file_)),
      direct_(std::move(other.direct_)),
      sums_(std::move(other.sums_)),
      sums_size_(other.sums_size_),
      name_(std::move(other.name_)),
      display_(std::move(other.display_)),
      file_name_(other.file_name_),
      current_name_(std::move(other.current_name_)),
      owned_(std::exchange(other.owned_, false)),
      sync_failed_(other.sync_failed_.load()),
      dirty_bytes_(other.dirty_bytes_),
      dirty_(other.dirty_),
      under_way_(other.under_way_) {}

FileTarget::~FileTarget() {
  if (owned_) trim();
  if (!owned_ || current_name_ != kStagedName) return;
  // Nothing depends on these: a staged file that stays is written anew by the next run.
  if (sums_.valid()) (void)::unlinkat(directory_.get(), kSumsName, 0);
  (void)::unlinkat(directory_.get(), kStagedName, 0);
  (void)::unlinkat(root_.get(), name_.c_str(), AT_REMOVEDIR);
}

Error FileTarget::failed(const Error& error) { return with_hint(Error(error).on(path())); }

Error FileTarget::failed_for_good(const Error& error) {
  sync_failed_ = true;
  return failed(error);
}

Error FileTarget::sums_failed(const Error& error) const {
  return with_hint(Error(error).on(display_ + "/" + kSumsName));
}

Status FileTarget::preallocate(uint64_t offset, uint64_t length) {
  int result;
  do {
    result = ::fallocate(file_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS)
    return failed(Error::from_errno("cannot reserve space"));
  return write_zeros(offset, length);
}

// Paced like everything that is written: a large machine's descriptor table has gigabytes.
Status FileTarget::write_zeros(uint64_t offset, uint64_t length) {
  static constexpr std::array<std::byte, 16 << 10> kZeros{};
  for (uint64_t done = 0; done < length; done += kZeros.size())
    DW_TRY(write_at(offset + done,
                    std::span(kZeros).first(std::min<uint64_t>(kZeros.size(), length - done))));
  return {};
}

Status FileTarget::write_at(uint64_t offset, Bytes bytes) {
  Status written = write_all_at(file_.get(), bytes, offset);
  if (!written.ok()) return failed(written.error());
  if (direct_) direct_->overwrite(offset, bytes);
  return pace_writeback(offset, bytes.size());
}

Status FileTarget::append(uint64_t offset, Bytes bytes) {
  if (!direct_) return write_at(offset, bytes);
  Status appended = direct_->append(offset, bytes);
  if (appended.ok()) return {};
  // Without space nothing was taken, and what was taken before is safe; else pages that were held
  // back are lost.
  bool full = appended.error().kind() == ErrorKind::kNoSpace;
  return full ? failed(appended.error()) : failed_for_good(appended.error());
}

// What is reserved and not used is of no harm but to those who need space too.
void FileTarget::trim() {
  if (direct_) (void)direct_->trim();
}

// Waiting for written pages takes the disk's error out of the descriptor, so that fdatasync() would
// not report it any more: an error here is as final as one of sync().
Status FileTarget::pace_writeback(uint64_t offset, uint64_t length) {
  std::lock_guard lock(writeback_mutex_);
  // Not every format is written from front to back: what counts is how much is dirty, not where.
  dirty_bytes_ += length;
  dirty_.begin = std::min(dirty_.begin, offset);
  dirty_.end = std::max(dirty_.end, offset + length);
  if (dirty_bytes_ < kWritebackBytes) return {};
  dirty_bytes_ = 0;
  Span now = std::exchange(dirty_, {});
  Span before = std::exchange(under_way_, now);
  DW_TRY(write_back(now, SYNC_FILE_RANGE_WRITE));
  if (before.end == 0) return {};
  return write_back(
      before, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

Status FileTarget::write_back(const Span& span, unsigned flags) {
  if (::sync_file_range(file_.get(), static_cast<off_t>(span.begin),
                        static_cast<off_t>(span.end - span.begin), flags) == 0)
    return {};
  // Not every file system can; pacing is then left to the kernel.
  if (errno == ENOSYS || errno == EINVAL || errno == ESPIPE) return {};
  return failed_for_good(Error::from_errno("cannot write to the disk"));
}

Status FileTarget::read_at(uint64_t offset, MutableBytes into) {
  Status read = read_exact_at(file_.get(), into, offset);
  if (!read.ok()) return failed(read.error());
  return {};
}

Status FileTarget::open_sums() {
  Result<Fd> file = open_file_at(directory_.get(), kSumsName, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!file.ok()) return sums_failed(file.error());
  sums_ = std::move(*file);
  return {};
}

Status FileTarget::append_sums(Bytes bytes) {
  if (!sums_.valid()) DW_TRY(open_sums());
  Status written = write_all_at(sums_.get(), bytes, sums_size_);
  if (!written.ok()) return sums_failed(written.error());
  sums_size_ += bytes.size();
  return {};
}

Status FileTarget::read_sums(uint64_t offset, MutableBytes into) {
  Status read = read_exact_at(sums_.get(), into, offset);
  if (!read.ok()) return sums_failed(read.error());
  return {};
}

Status FileTarget::put_file(const char* name, Bytes content) {
  trim();
  std::string staged = std::string(name) + ".new";
  int directory = directory_.get();
  Result<Fd> file = open_file_at(directory, staged.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  Status done = file.ok() ? write_all_at(file->get(), content, 0) : Status(file.error());
  if (done.ok()) done = sync_fd(file->get(), "cannot sync");
  if (done.ok()) done = file->close();
  if (done.ok() && ::renameat(directory, staged.c_str(), directory, name) != 0)
    done = Error::from_errno("cannot rename");
  if (done.ok()) done = sync_fd(directory, "cannot sync the directory");
  if (done.ok()) return {};
  (void)::unlinkat(directory, staged.c_str(), 0);  // it may not exist; nothing depends on it
  Error error = done.error();
  return with_hint(error.on(display_ + "/" + name));
}

Status FileTarget::sync() {
  // After one failure the kernel may report success and yet have dropped the data.
  if (sync_failed_) return failed(Error::from_errno("cannot sync", EIO));
  Status flushed = direct_ ? direct_->flush() : Status();
  if (!flushed.ok()) return failed_for_good(flushed.error());
  bool synced = ::fdatasync(file_.get()) == 0;
  if (synced && (!sums_.valid() || ::fdatasync(sums_.get()) == 0)) return {};
  sync_failed_ = true;
  Error error = Error::from_errno("cannot sync");
  return synced ? sums_failed(error) : failed(error);
}

Status FileTarget::rename_to(const std::string& name) {
  if (sync_failed_) return failed(Error::from_errno("cannot sync", EIO));
  Status renamed = rename_in(directory_.get(), current_name_.c_str(), name.c_str());
  if (!renamed.ok()) return failed(renamed.error());
  current_name_ = name;
  Status synced = sync_fd(directory_.get(), "cannot sync the directory");
  if (!synced.ok()) return failed(synced.error());
  return {};
}

Status FileTarget::publish() { return rename_to(incomplete_name(file_name_)); }

Status FileTarget::seal() {
  trim();
  return rename_to(file_name_);
}

}  // namespace dw
