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

SftpMessage about(SftpType type, const std::string& path) {
  return std::move(SftpMessage(type).text(path));
}

SftpMessage make_directory_at(const std::string& path) {
  return std::move(SftpMessage(SftpType::kMkdir).text(path).mode_attribute(kDirectoryMode));
}

SftpMessage set_length(const std::string& handle, uint64_t length) {
  return std::move(SftpMessage(SftpType::kFsetstat).text(handle).size_attribute(length));
}

SftpStatus status_in(const SftpAnswer& answer) {
  return answer.type == SftpType::kStatus ? answer.status : SftpStatus::kBadMessage;
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
  DW_ASSIGN(std::vector<SftpAnswer> answers, ask({std::move(message)}));
  return status_in(answers.front());
}

Result<std::vector<SftpAnswer>> SftpCalls::ask(std::vector<SftpMessage> messages) {
  for (const SftpMessage& message : messages)
    if (message.size() > 2 * kMostPathBytes + kMostContent)
      return Error::from_errno("the path is too long", ENAMETOOLONG).on(display_);
  return pool_->call_all(std::move(messages));
}

Result<std::vector<SftpStatus>> SftpCalls::in_order(std::vector<SftpMessage> messages) {
  std::vector<SftpStatus> statuses;
  if (pool_->first().works_in_order()) {
    DW_ASSIGN(std::vector<SftpAnswer> answers, ask(std::move(messages)));
    for (const SftpAnswer& answer : answers) statuses.push_back(status_in(answer));
    return statuses;
  }
  for (SftpMessage& message : messages) {
    DW_ASSIGN(SftpStatus status, status_of(std::move(message)));
    statuses.push_back(status);
  }
  return statuses;
}

Result<std::vector<SftpStatus>> SftpCalls::synced(std::vector<SftpMessage> messages,
                                                  const std::string& handle) {
  bool syncs = !handle.empty() && abilities().fsync;
  if (!syncs) return in_order(std::move(messages));
  messages.push_back(std::move(extended("fsync@openssh.com").text(handle)));
  pool_->sync_begins();
  Result<std::vector<SftpStatus>> statuses = in_order(std::move(messages));
  pool_->sync_ends();
  return statuses;
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
  std::vector<SftpMessage> questions;
  questions.push_back(about(SftpType::kLstat, absolute(path)));
  if (abilities().statvfs)
    questions.push_back(std::move(extended("statvfs@openssh.com").text(directory_)));
  DW_ASSIGN(std::vector<SftpAnswer> answers, ask(std::move(questions)));
  std::optional<SftpSpace> left = answers.size() > 1 ? space_in(answers[1]) : std::nullopt;
  if (taken == Taken::kMeansExists) {
    DW_ASSIGN(ServerEntry entry, entry_in(answers[0], path));
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
  DW_ASSIGN(SftpAnswer answer, pool_->call(about(SftpType::kStat, absolute_path)));
  return is_directory(answer);
}

Result<bool> SftpCalls::is_directory(const SftpAnswer& answer) const {
  if (answer.type == SftpType::kAttrs)
    return entry_of(answer.attributes).kind == ServerEntry::Kind::kDirectory;
  if (answer.status == SftpStatus::kNoSuchFile || answer.status == SftpStatus::kFailure)
    return false;
  return refusal(answer.status, "cannot look at the directory", "");
}

Status SftpCalls::prepare_directory() {
  DW_ASSIGN(std::vector<std::string> missing, missing_directories());
  if (missing.empty()) return {};
  std::vector<SftpMessage> messages;
  for (const std::string& path : missing) messages.push_back(make_directory_at(path));
  DW_ASSIGN(std::vector<SftpStatus> statuses, in_order(std::move(messages)));
  // What is wrong above it shows in the end, at the directory itself.
  Status made = done(statuses.back(), "cannot make the directory", "", Taken::kMeansExists);
  if (made.ok() || made.error().errno_value() != EEXIST) return made;
  // Somebody else may have been faster.
  DW_ASSIGN(bool is_there, is_directory(directory_));
  if (is_there) return {};
  return Error::from_errno("cannot make the directory", ENOTDIR).on(display_);
}

std::vector<std::string> SftpCalls::directories() const {
  std::vector<std::string> paths;
  for (size_t slash = directory_.find('/', 1); slash != std::string::npos;
       slash = directory_.find('/', slash + 1))
    paths.push_back(directory_.substr(0, slash));
  paths.push_back(directory_);
  return paths;
}

// Empty if the directory itself is there; those above it that cannot be looked at count as there.
Result<std::vector<std::string>> SftpCalls::missing_directories() {
  std::vector<std::string> paths = directories();
  std::vector<SftpMessage> questions;
  for (const std::string& path : paths) questions.push_back(about(SftpType::kStat, path));
  DW_ASSIGN(std::vector<SftpAnswer> answers, ask(std::move(questions)));
  DW_ASSIGN(bool is_there, is_directory(answers.back()));
  std::vector<std::string> missing;
  if (is_there) return missing;
  for (size_t i = 0; i < paths.size(); ++i) {
    Result<bool> there = is_directory(answers[i]);
    if (there.ok() && !*there) missing.push_back(paths[i]);
  }
  return missing;
}

Result<ServerEntry> SftpCalls::look(const std::string& path) {
  return std::move(look_at(std::span(&path, 1)).front());
}

std::vector<Result<ServerEntry>> SftpCalls::look_at(std::span<const std::string> paths) {
  std::vector<SftpMessage> questions;
  for (const std::string& path : paths)
    questions.push_back(about(SftpType::kLstat, absolute(path)));
  Result<std::vector<SftpAnswer>> answers = ask(std::move(questions));
  std::vector<Result<ServerEntry>> entries;
  for (size_t i = 0; i < paths.size(); ++i)
    entries.push_back(answers.ok() ? entry_in((*answers)[i], paths[i])
                                   : Result<ServerEntry>(answers.error()));
  return entries;
}

Result<ServerEntry> SftpCalls::entry_in(const SftpAnswer& answer, const std::string& path) const {
  if (answer.type == SftpType::kAttrs) return entry_of(answer.attributes);
  if (answer.status == SftpStatus::kNoSuchFile) return ServerEntry{};
  return refusal(answer.status, "cannot look at it", path);
}

Status SftpCalls::make_directory(const std::string& path) {
  auto status = status_of(make_directory_at(absolute(path)));
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

// If it is not renamed, a sync does no harm.
Status SftpCalls::renamed(SftpMessage message, const std::string& handle, const char* what,
                          const std::string& to, Taken taken) {
  DW_ASSIGN(std::vector<SftpStatus> statuses, synced({std::move(message)}, handle));
  DW_TRY(done(statuses.front(), what, to, taken));
  if (statuses.back() == SftpStatus::kOk) return {};
  return refusal(statuses.back(), "cannot sync", to);
}

Status SftpCalls::rename(const std::string& from, const std::string& to,
                         const std::string& handle) {
  SftpMessage message(SftpType::kRename);
  message.text(absolute(from)).text(absolute(to));
  return renamed(std::move(message), handle, "cannot rename to it", to, Taken::kMeansExists);
}

Status SftpCalls::replace(const std::string& from, const std::string& to,
                          const std::string& handle) {
  if (!abilities().posix_rename) {
    Status removed = remove(to);
    if (!removed.ok() && removed.error().errno_value() != ENOENT) return removed;
    return rename(from, to, handle);
  }
  SftpMessage message = extended("posix-rename@openssh.com");
  message.text(absolute(from)).text(absolute(to));
  return renamed(std::move(message), handle, "cannot replace it", to, Taken::kNo);
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
  return space_in(answer);
}

std::optional<SftpSpace> SftpCalls::space_in(const SftpAnswer& answer) const {
  if (answer.type != SftpType::kExtendedReply) return std::nullopt;
  Result<SftpSpace> space = parse_sftp_space(std::as_bytes(std::span(answer.data)));
  return space.ok() ? std::optional(*space) : std::nullopt;
}

Result<uint64_t> SftpCalls::size(const std::string& handle, const std::string& path) {
  DW_ASSIGN(SftpAnswer answer, pool_->call(std::move(SftpMessage(SftpType::kFstat).text(handle))));
  if (answer.type == SftpType::kAttrs && answer.attributes.size.has_value())
    return *answer.attributes.size;
  return refusal(answer.status, "cannot tell the size of the file", path);
}

Status SftpCalls::truncate(const std::string& handle, const std::string& path, uint64_t length) {
  return done(status_of(set_length(handle, length)), "cannot set the size of the file", path,
              Taken::kNo);
}

Status SftpCalls::put(const std::string& handle, const std::string& path, Bytes content) {
  DW_CHECK(content.size() <= kMostContent);
  SftpMessage write(SftpType::kWrite);
  write.text(handle).number64(0).text(
      {reinterpret_cast<const char*>(content.data()), content.size()});
  std::vector<SftpMessage> messages;
  messages.push_back(std::move(write));
  messages.push_back(set_length(handle, content.size()));
  DW_ASSIGN(std::vector<SftpStatus> statuses, synced(std::move(messages), handle));
  if (statuses[0] != SftpStatus::kOk) return write_refusal(statuses[0], handle, path);
  DW_TRY(done(statuses[1], "cannot set the size of the file", path, Taken::kNo));
  if (statuses.back() == SftpStatus::kOk) return {};
  return refusal(statuses.back(), "cannot sync", path);
}

// As four calls, but on their way together.
Result<bool> SftpCalls::has_name(const std::string& handle, const std::string& path,
                                 const FileLengths& lengths) {
  std::vector<SftpMessage> messages;
  messages.push_back(set_length(handle, lengths.other));
  messages.push_back(about(SftpType::kLstat, absolute(path)));
  messages.push_back(set_length(handle, lengths.own));
  if (abilities().fsync) messages.push_back(std::move(extended("fsync@openssh.com").text(handle)));
  pool_->sync_begins();
  Result<std::vector<SftpAnswer>> answers = ask(std::move(messages));
  pool_->sync_ends();
  if (!answers.ok()) return answers.error();
  for (size_t i : {0, 2})
    DW_TRY(done(status_in((*answers)[i]), "cannot set the size of the file", path, Taken::kNo));
  if (abilities().fsync && status_in(answers->back()) != SftpStatus::kOk)
    return refusal(status_in(answers->back()), "cannot sync", path);
  DW_ASSIGN(ServerEntry named, entry_in((*answers)[1], path));
  return named.kind == ServerEntry::Kind::kFile && named.size == lengths.other;
}

}  // namespace dw
