#include "capture/target/ssh/sftp_calls.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace dw {

namespace {

constexpr uint32_t kDirectoryMode = 0700;
constexpr uint32_t kFileMode = 0600;
// Less free space than this explains why a write was refused.
constexpr uint64_t kAlmostFull = 1 << 20;
constexpr size_t kMostPathBytes = 4096;

int errno_of(SftpStatus status) {
  switch (status) {
    case SftpStatus::kNoSuchFile:
      return ENOENT;
    case SftpStatus::kPermissionDenied:
      return EACCES;
    case SftpStatus::kBadMessage:
      return EINVAL;
    case SftpStatus::kUnsupported:
      return EOPNOTSUPP;
    default:
      return EIO;
  }
}

SftpMessage extended(const char* name) {
  return std::move(SftpMessage(SftpType::kExtended).text(name));
}

std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

ServerEntry entry_of(const SftpAttributes& attributes) {
  ServerEntry entry{.kind = ServerEntry::Kind::kOther, .size = attributes.size.value_or(0)};
  mode_t mode = attributes.permissions.value_or(0);
  if (S_ISREG(mode)) entry.kind = ServerEntry::Kind::kFile;
  if (S_ISDIR(mode)) entry.kind = ServerEntry::Kind::kDirectory;
  return entry;
}

SftpCalls::SftpCalls(SftpPool& pool, std::string directory, std::string display)
    : pool_(&pool),
      directory_(without_end_slashes(std::move(directory))),
      display_(without_end_slashes(std::move(display))) {
  if (directory_.empty()) directory_.assign(1, '.');
}

std::string SftpCalls::absolute(const std::string& path) const {
  if (path.empty()) return directory_;
  return directory_ == "/" ? "/" + path : directory_ + "/" + path;
}

std::string SftpCalls::display(const std::string& path) const {
  return path.empty() ? display_ : display_ + "/" + path;
}

Error SftpCalls::refusal(SftpStatus status, const char* what, const std::string& path) const {
  return Error::from_errno(what, errno_of(status)).on(display(path));
}

Result<SftpStatus> SftpCalls::status_of(SftpMessage message) {
  if (message.size() > 2 * kMostPathBytes)
    return Error::from_errno("the path is too long", ENAMETOOLONG).on(display_);
  DW_ASSIGN(SftpAnswer answer, pool_->call(std::move(message)));
  return answer.type == SftpType::kStatus ? answer.status : SftpStatus::kBadMessage;
}

Status SftpCalls::done(const Result<SftpStatus>& status, const char* what, const std::string& path,
                       Taken taken) {
  if (!status.ok()) return status.error();
  if (*status == SftpStatus::kOk) return {};
  if (*status != SftpStatus::kFailure) return refusal(*status, what, path);
  DW_ASSIGN(int reason, this->reason(path, taken));
  return Error::from_errno(what, reason).on(display(path));
}

Result<int> SftpCalls::reason(const std::string& path, Taken taken) {
  DW_ASSIGN(std::optional<SftpSpace> left, space());
  if (taken == Taken::kMeansExists) {
    DW_ASSIGN(ServerEntry entry, look(path));
    if (entry.kind != ServerEntry::Kind::kNothing) return EEXIST;
  }
  if (!left.has_value()) return EIO;
  if (left->read_only) return EROFS;
  return left->free_bytes == 0 || left->free_files == 0 ? ENOSPC : EIO;
}

Error SftpCalls::write_refusal(SftpStatus status, const std::string& handle,
                               const std::string& path) {
  if (status != SftpStatus::kFailure) return refusal(status, "cannot write", path);
  Result<int> reason = write_reason(handle);
  if (!reason.ok()) return reason.error();
  return Error::from_errno("cannot write", *reason).on(display(path));
}

// A file that can still be synced, on a disk with room: a quota, or a limit to its size.
Result<int> SftpCalls::write_reason(const std::string& handle) {
  DW_ASSIGN(std::optional<SftpSpace> left, space());
  if (left.has_value() && left->read_only) return EROFS;
  if (left.has_value() && left->free_bytes < kAlmostFull) return ENOSPC;
  if (!abilities().fsync) return ENOSPC;
  pool_->sync_begins();
  Result<SftpStatus> status = status_of(std::move(extended("fsync@openssh.com").text(handle)));
  pool_->sync_ends();
  DW_ASSIGN(SftpStatus synced, status);
  return synced == SftpStatus::kOk ? EDQUOT : EIO;
}

Result<bool> SftpCalls::is_directory(const std::string& absolute_path) {
  DW_ASSIGN(SftpAnswer answer,
            pool_->call(std::move(SftpMessage(SftpType::kStat).text(absolute_path))));
  if (answer.type == SftpType::kAttrs)
    return entry_of(answer.attributes).kind == ServerEntry::Kind::kDirectory;
  if (answer.status == SftpStatus::kNoSuchFile || answer.status == SftpStatus::kFailure)
    return false;
  return refusal(answer.status, "cannot look at the directory", "");
}

Status SftpCalls::prepare_directory() {
  DW_ASSIGN(bool is_there, is_directory(directory_));
  if (is_there) return {};
  DW_TRY(make_parents());
  Status made = make_directory("");
  if (made.ok() || made.error().errno_value() != EEXIST) return made;
  // Somebody else may have been faster.
  DW_ASSIGN(is_there, is_directory(directory_));
  if (is_there) return {};
  return Error::from_errno("cannot make the directory", ENOTDIR).on(display_);
}

Status SftpCalls::make_parents() {
  for (size_t slash = directory_.find('/', 1); slash != std::string::npos;
       slash = directory_.find('/', slash + 1)) {
    std::string parent = directory_.substr(0, slash);
    DW_ASSIGN(bool is_there, is_directory(parent));
    if (is_there) continue;
    // What is wrong shows in the end, at the directory itself.
    DW_TRY(status_of(
        std::move(SftpMessage(SftpType::kMkdir).text(parent).mode_attribute(kDirectoryMode))));
  }
  return {};
}

Result<ServerEntry> SftpCalls::look(const std::string& path) {
  DW_ASSIGN(SftpAnswer answer,
            pool_->call(std::move(SftpMessage(SftpType::kLstat).text(absolute(path)))));
  if (answer.type == SftpType::kAttrs) return entry_of(answer.attributes);
  if (answer.status == SftpStatus::kNoSuchFile) return ServerEntry{};
  return refusal(answer.status, "cannot look at it", path);
}

Status SftpCalls::make_directory(const std::string& path) {
  auto status = status_of(
      std::move(SftpMessage(SftpType::kMkdir).text(absolute(path)).mode_attribute(kDirectoryMode)));
  return done(status, "cannot make the directory", path, Taken::kMeansExists);
}

Result<std::string> SftpCalls::open(const std::string& path, FileServer::Open how) {
  bool is_new = how == FileServer::Open::kCreate;
  if (!is_new) {
    // SFTP cannot be told not to follow a link.
    DW_ASSIGN(ServerEntry entry, look(path));
    int wrong = entry.kind == ServerEntry::Kind::kNothing     ? ENOENT
                : entry.kind == ServerEntry::Kind::kDirectory ? EISDIR
                : entry.kind == ServerEntry::Kind::kOther     ? ELOOP
                                                              : 0;
    if (wrong != 0) return Error::from_errno("cannot open the file", wrong).on(display(path));
  }
  uint32_t flags = kSftpRead | (how == FileServer::Open::kRead ? 0 : kSftpWrite) |
                   (is_new ? kSftpCreate | kSftpExclusive : 0);
  SftpMessage message(SftpType::kOpen);
  message.text(absolute(path)).number(flags);
  is_new ? message.mode_attribute(kFileMode) : message.no_attributes();
  DW_ASSIGN(SftpAnswer answer, pool_->call(std::move(message)));
  if (answer.type == SftpType::kHandle) return answer.data;
  DW_TRY(
      done(answer.status, "cannot open the file", path, is_new ? Taken::kMeansExists : Taken::kNo));
  return refusal(SftpStatus::kBadMessage, "cannot open the file", path);
}

Status SftpCalls::rename(const std::string& from, const std::string& to) {
  auto status =
      status_of(std::move(SftpMessage(SftpType::kRename).text(absolute(from)).text(absolute(to))));
  return done(status, "cannot rename to it", to, Taken::kMeansExists);
}

Status SftpCalls::replace(const std::string& from, const std::string& to) {
  if (!abilities().posix_rename) {
    Status removed = remove(to);
    if (!removed.ok() && removed.error().errno_value() != ENOENT) return removed;
    return rename(from, to);
  }
  auto status = status_of(
      std::move(extended("posix-rename@openssh.com").text(absolute(from)).text(absolute(to))));
  return done(status, "cannot replace it", to, Taken::kNo);
}

Status SftpCalls::remove(const std::string& path) {
  auto status = status_of(std::move(SftpMessage(SftpType::kRemove).text(absolute(path))));
  return done(status, "cannot remove it", path, Taken::kNo);
}

// A directory that is not empty has the answer of a disk that is broken.
Status SftpCalls::remove_directory(const std::string& path) {
  auto status = status_of(std::move(SftpMessage(SftpType::kRmdir).text(absolute(path))));
  Status removed = done(status, "cannot remove the directory", path, Taken::kNo);
  if (removed.ok() || removed.error().errno_value() != EIO) return removed;
  DW_ASSIGN(ServerEntry entry, look(path));
  int reason = entry.kind == ServerEntry::Kind::kDirectory ? ENOTEMPTY : ENOTDIR;
  return Error::from_errno("cannot remove the directory", reason).on(display(path));
}

Result<std::optional<SftpSpace>> SftpCalls::space() {
  if (!abilities().statvfs) return std::optional<SftpSpace>();
  DW_ASSIGN(SftpAnswer answer,
            pool_->call(std::move(extended("statvfs@openssh.com").text(directory_))));
  if (answer.type != SftpType::kExtendedReply) return std::optional<SftpSpace>();
  DW_ASSIGN(SftpSpace space, parse_sftp_space(std::as_bytes(std::span(answer.data))));
  return std::optional(space);
}

Result<uint64_t> SftpCalls::size(const std::string& handle, const std::string& path) {
  DW_ASSIGN(SftpAnswer answer, pool_->call(std::move(SftpMessage(SftpType::kFstat).text(handle))));
  if (answer.type == SftpType::kAttrs && answer.attributes.size.has_value())
    return *answer.attributes.size;
  return refusal(answer.status, "cannot tell the size of the file", path);
}

Status SftpCalls::truncate(const std::string& handle, const std::string& path, uint64_t length) {
  auto status =
      status_of(std::move(SftpMessage(SftpType::kFsetstat).text(handle).size_attribute(length)));
  return done(status, "cannot set the size of the file", path, Taken::kNo);
}

}  // namespace dw
