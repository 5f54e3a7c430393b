#include "capture/target/file_target.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "capture/base/checked.h"
#include "capture/target/file_steps.h"

namespace dw {

namespace {

constexpr const char* kRunningHint = "another capture of this crash is running";

std::string incomplete_name(const char* dump) {
  return std::string(dump) + std::string(kIncompleteSuffix);
}

// Against other captures, without waiting.
Status lock(int fd, std::string_view name) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  Error error = Error::from_errno("cannot lock").on(name);
  if (error.errno_value() == EWOULDBLOCK) error.hint(kRunningHint);
  return error;
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
  DW_TRY(lock(file.get(), name));
  (void)give_back_room(file.get());
  // What we read may stand in memory only.
  DW_TRY(sync_fd(file.get(), "cannot sync"));
  DW_TRY(rename_in(directory.get(), file_name.c_str(), sealed.c_str()));
  return sync_fd(directory.get(), "cannot sync the directory");
}

Result<FileTarget> FileTarget::open_directory(int root, const std::string& name,
                                              const std::string& display, const char* file_name) {
  FileTarget target;
  target.file_name_ = file_name;
  target.name_ = name;
  target.display_ = display;
  for (auto [fd, path] : {std::pair(&target.root_, "."), {&target.directory_, name.c_str()}}) {
    Result<Fd> opened = open_file_at(root, path, O_RDONLY | O_DIRECTORY);
    if (!opened.ok()) return with_hint(Error(opened.error()).on(display));
    *fd = std::move(*opened);
  }
  return target;
}

Result<FileTarget> FileTarget::create(int root, const std::string& name, const std::string& display,
                                      const char* file_name) {
  if (::mkdirat(root, name.c_str(), 0700) != 0 && errno != EEXIST)
    return with_hint(Error::from_errno("cannot make the directory").on(display));
  Status synced = sync_fd(root, "cannot sync the target directory");
  if (!synced.ok()) return with_hint(Error(synced.error()).on(display));
  DW_ASSIGN(FileTarget target, open_directory(root, name, display, file_name));
  Status opened = target.open_dump(O_CREAT);
  if (!opened.ok()) {
    // Leaves no empty directory behind; one with something in it stays.
    (void)::unlinkat(root, name.c_str(), AT_REMOVEDIR);
    return opened.error();
  }
  DW_TRY(target.take_staged_file());
  target.owned_ = true;
  target.direct_ = DirectAppender::create(target.directory_.get(), kStagedName, target.file_.get());
  // Of a run that was cut off, as a staged file may be. Writing to it would empty it anyway.
  (void)::unlinkat(target.directory_.get(), kSumsName, 0);
  return target;
}

Result<FileTarget> FileTarget::reopen(int root, const std::string& name, const std::string& display,
                                      const char* file_name) {
  DW_ASSIGN(FileTarget target, open_directory(root, name, display, file_name));
  target.current_name_ = incomplete_name(file_name);
  DW_TRY(target.open_dump(0));
  DW_TRY(target.check_still_named());
  Result<SumsFile> sums = SumsFile::open(target.directory_.get());
  if (!sums.ok()) return target.sums_done(sums.error()).error();
  target.sums_ = std::move(*sums);
  DW_TRY(target.sync_and_forget());
  target.owned_ = true;
  target.direct_ = DirectAppender::create(target.directory_.get(), target.current_name_.c_str(),
                                          target.file_.get());
  return target;
}

// As it is on the disk.
Status FileTarget::sync_and_forget() {
  DW_TRY(sync());
  for (int fd : {file_.get(), sums_->descriptor()}) {
    Status forgotten = forget_cached(fd);
    if (!forgotten.ok()) return failed(forgotten.error());
  }
  return {};
}

// Opens what current_name_ says, whatever stands there, and locks it against other captures.
Status FileTarget::open_dump(int flags) {
  Result<Fd> file = open_file_at(directory_.get(), current_name_.c_str(),
                                 O_RDWR | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
  if (!file.ok()) return failed(file.error());
  struct stat status;
  if (::fstat(file->get(), &status) != 0) return failed(Error::from_errno("cannot look at"));
  if (!S_ISREG(status.st_mode)) return failed(Error(ErrorKind::kBadInput, "is no regular file"));
  DW_TRY(lock(file->get(), path()));
  file_ = std::move(*file);
  read_without_readahead(file_.get());
  return {};
}

// Between open and lock the file may have become another capture's dump, or a whole one.
Status FileTarget::check_still_named() const {
  if (is_named(file_.get(), directory_.get(), current_name_.c_str())) return {};
  return Error::from_errno("changed while it was opened", EBUSY).on(path()).hint(kRunningHint);
}

Status FileTarget::take_staged_file() {
  DW_TRY(check_still_named());
  // If it was published and staged anew meanwhile, neither it nor the sums are ours.
  DW_ASSIGN(StandingDump other, look(root_.get(), name_));
  if (other.standing != Standing::kNothing)
    return Error::from_errno("changed while it was opened", EBUSY).on(path()).hint(kRunningHint);
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
      reserved_(std::move(other.reserved_)),
      name_(std::move(other.name_)),
      display_(std::move(other.display_)),
      file_name_(other.file_name_),
      current_name_(std::move(other.current_name_)),
      owned_(std::exchange(other.owned_, false)),
      sync_failed_(other.sync_failed_.load()),
      writeback_(std::move(other.writeback_)) {}

FileTarget::~FileTarget() {
  if (!owned_) return;
  trim();
  if (sums_) sums_->trim();
  for (ReservedFile& file : reserved_) file.remove_spares();
  if (current_name_ != kStagedName) return;
  // Nothing depends on these: a staged file that stays is written anew by the next run.
  if (sums_) (void)::unlinkat(directory_.get(), kSumsName, 0);
  (void)::unlinkat(directory_.get(), kStagedName, 0);
  (void)::unlinkat(root_.get(), name_.c_str(), AT_REMOVEDIR);
}

Error FileTarget::failed(const Error& error) { return with_hint(Error(error).on(path())); }

Error FileTarget::failed_for_good(const Error& error) {
  sync_failed_ = true;
  return failed(error);
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
  for (uint64_t done = 0; done < length; done += kZeros.size()) {
    DW_TRY(write_at(offset + done,
                    std::span(kZeros).first(std::min<uint64_t>(kZeros.size(), length - done))));
    moved();
  }
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

Result<uint64_t> FileTarget::size() {
  DW_ASSIGN(uint64_t size, file_size(file_.get()));
  return direct_ ? std::max(size, direct_->end()) : size;
}

Status FileTarget::truncate(uint64_t length) {
  if (direct_) {
    Status flushed = direct_->forget_from(length);
    if (!flushed.ok()) return failed_for_good(flushed.error());
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(length)) != 0)
    return failed(Error::from_errno("cannot truncate"));
  return {};
}

// What is reserved and not used is of no harm but to those who need space too.
void FileTarget::trim() {
  if (direct_) (void)direct_->trim();
}

Status FileTarget::pace_writeback(uint64_t offset, uint64_t length) {
  Status paced = writeback_.wrote(file_.get(), offset, length, direct_.has_value());
  return paced.ok() ? paced : failed_for_good(paced.error());
}

Status FileTarget::read_at(uint64_t offset, MutableBytes into) {
  Status read = read_exact_at(file_.get(), into, offset);
  if (!read.ok()) return failed(read.error());
  return {};
}

Status FileTarget::sums_done(const Status& status) const {
  if (status.ok()) return {};
  return with_hint(Error(status.error()).on(display_ + "/" + kSumsName));
}

Result<SumsFile*> FileTarget::sums_file() {
  if (sums_) return &*sums_;
  Result<SumsFile> made = SumsFile::create(directory_.get());
  if (!made.ok()) return sums_done(made.error()).error();
  sums_ = std::move(*made);
  return &*sums_;
}

Status FileTarget::append_sums(Bytes bytes) {
  DW_ASSIGN(SumsFile * sums, sums_file());
  return sums_done(sums->append(bytes));
}

Status FileTarget::read_sums(uint64_t offset, MutableBytes into) {
  DW_ASSIGN(SumsFile * sums, sums_file());
  return sums_done(sums->read(offset, into));
}

Result<uint64_t> FileTarget::sums_size() { return sums_ ? sums_->size() : 0; }

Status FileTarget::preallocate_sums(uint64_t length) {
  DW_ASSIGN(SumsFile * sums, sums_file());
  return sums_done(sums->preallocate(length));
}

Status FileTarget::cut_sums(uint64_t size) {
  DW_ASSIGN(SumsFile * sums, sums_file());
  return sums_done(sums->cut(size));
}

Status FileTarget::reserve_file(const char* name, size_t bytes) {
  Result<ReservedFile> file = ReservedFile::create(directory_.get(), name, bytes);
  if (!file.ok()) return put_failed(name, file.error());
  std::erase_if(reserved_, [&](const ReservedFile& other) { return other.name() == name; });
  reserved_.push_back(std::move(*file));
  return {};
}

Error FileTarget::put_failed(const char* name, const Error& error) const {
  return with_hint(Error(error).on(display_ + "/" + name));
}

Status FileTarget::put_file(const char* name, Bytes content) {
  for (auto file = reserved_.begin(); file != reserved_.end(); ++file) {
    if (file->name() != name) continue;
    Status put = file->put(content);
    if (!put.ok()) return put_failed(name, put.error());
    if (current_name_ != file_name_) return {};
    file->remove_spares();
    reserved_.erase(file);
    return {};
  }
  trim();
  Status put = ReservedFile::put_once(directory_.get(), name, BytesContent(content));
  if (!put.ok()) return put_failed(name, put.error());
  return {};
}

std::optional<uint64_t> FileTarget::free_bytes() {
  struct statvfs status;
  uint64_t bytes;
  if (::fstatvfs(directory_.get(), &status) != 0 ||
      __builtin_mul_overflow(uint64_t{status.f_bavail}, uint64_t{status.f_frsize}, &bytes))
    return std::nullopt;
  return bytes;
}

Status FileTarget::sync() {
  // After one failure the kernel may report success and yet have dropped the data.
  if (sync_failed_) return failed(Error::from_errno("cannot sync", EIO));
  Status flushed = direct_ ? direct_->flush() : Status();
  if (!flushed.ok()) return failed_for_good(flushed.error());
  if (::fdatasync(file_.get()) != 0) return failed_for_good(Error::from_errno("cannot sync"));
  return sync_sums();
}

Status FileTarget::sync_sums() {
  Status synced = sums_ ? sums_->sync() : Status();
  if (!synced.ok()) sync_failed_ = true;
  return sums_done(synced);
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
  if (sums_) sums_->trim();
  DW_TRY(sync_sums());
  return rename_to(file_name_);
}

}  // namespace dw
