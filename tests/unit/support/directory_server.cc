#include "tests/unit/support/directory_server.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "capture/base/fd.h"
#include "capture/target/file_steps.h"

namespace dw::test {

namespace {

constexpr size_t kSector = 512;

struct stat status_of(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) throw std::runtime_error("fstat");
  return status;
}

// `result` as of a system call.
Status done(int result, const char* what, const std::string& path) {
  return result == 0 ? Status() : Status(Error::from_errno(what).on(path));
}

std::vector<std::byte> content_of(int fd) {
  std::vector<std::byte> content(static_cast<size_t>(status_of(fd).st_size));
  if (!read_exact_at(fd, content, 0).ok()) throw std::runtime_error("read");
  return content;
}

}  // namespace

class DirectoryFile : public ServerFile {
 public:
  DirectoryFile(DirectoryServer& server, std::string path, Fd fd)
      : server_(&server), path_(std::move(path)), fd_(std::move(fd)) {
    server_->files_.push_back(this);
  }
  ~DirectoryFile() override {
    if (!server_->lost_) (void)apply_all();
    std::erase(server_->files_, this);
  }

  Status write(uint64_t offset, Bytes bytes) override {
    --server_->trips_;  // nobody waits for it
    return server_->change([&]() -> Status {
      if (overlaps(offset, bytes.size())) return misused("writes overlap");
      server_->disk_->writes_.push_back(
          {server_->connection_, path_, offset, static_cast<uint64_t>(bytes.size())});
      changed_ = true;
      waiting_.push_back({offset, {bytes.begin(), bytes.end()}});
      return waiting_.size() > server_->faults_.most_on_their_way ? apply_some(1) : told();
    });
  }
  Status flush() override {
    DW_TRY(server_->begin_call());
    if (waiting_.empty()) --server_->trips_;
    ++server_->waits_;
    return apply_all();
  }
  Status read(uint64_t offset, MutableBytes into) override {
    DW_TRY(server_->begin_call());
    ++server_->reads_;
    if (overlaps(offset, into.size())) return misused("reads what is on its way");
    return read_exact_at(fd_.get(), into, offset);
  }
  Result<uint64_t> size() override {
    DW_TRY(server_->begin_call());
    DW_TRY(apply_all());
    return static_cast<uint64_t>(status_of(fd_.get()).st_size);
  }
  Status truncate(uint64_t length) override {
    DW_TRY(server_->begin_call());
    DW_TRY(apply_all());
    changed_ = true;
    if (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0)
      return Error::from_errno("cannot truncate");
    return {};
  }
  Status commit() override {
    DW_TRY(server_->begin_call());
    ++server_->waits_;
    DW_TRY(apply_all());
    commit(content_of(fd_.get()));
    return {};
  }
  // What is written later is not in it, even if it is done earlier.
  Status start_commit() override {
    DW_TRY(server_->begin_call());
    --server_->trips_;
    if (committing_) return misused("commits twice");
    committing_ = content_of(fd_.get());
    for (Waiting& write : waiting_) {
      write.commits = true;
      size_t end = write.offset + write.bytes.size();
      if (committing_->size() < end) committing_->resize(end);
      std::ranges::copy(write.bytes, committing_->begin() + static_cast<ptrdiff_t>(write.offset));
    }
    polls_ = 3;
    return {};
  }
  bool commit_done() override { return server_->lost_ || polls_ == 0 || --polls_ == 0; }
  Status finish_commit() override {
    DW_TRY(server_->begin_call());
    if (!committing_) return misused("no commit");
    if (polls_ > 0) ++server_->waits_;
    if (polls_ == 0) --server_->trips_;
    for (size_t i = waiting_.size(); i-- > 0;)
      if (waiting_[i].commits) apply(i);
    DW_TRY(told());
    commit(std::move(*committing_));
    committing_.reset();
    return {};
  }

  Status put(Bytes content) override {
    return server_->together([&] { return ServerFile::put(content); });
  }

  // The connection is gone.
  void lose() {
    for (const Waiting& write : waiting_)
      if (server_->random_() % 2 == 0) (void)write_all_at(fd_.get(), write.bytes, write.offset);
    waiting_.clear();
  }

 private:
  struct Waiting {
    uint64_t offset;
    std::vector<std::byte> bytes;
    bool commits = false;
  };

  [[nodiscard]] bool overlaps(uint64_t offset, uint64_t length) const {
    return std::ranges::any_of(waiting_, [&](const Waiting& write) {
      return write.offset < offset + length && offset < write.offset + write.bytes.size();
    });
  }
  void commit(std::vector<std::byte> content) {
    uint64_t inode = status_of(fd_.get()).st_ino;
    if (changed_) server_->disk_->confirmed_[inode] = content;
    server_->disk_->committed_[inode] = std::move(content);
  }
  Status misused(const char* how) {
    ++server_->misuses_;
    return Error(ErrorKind::kBadInput, how).on(path_);
  }
  void apply(size_t i) {
    Status written = write_all_at(fd_.get(), waiting_[i].bytes, waiting_[i].offset);
    if (!written.ok()) failed_ = written;
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
  }
  Status apply_some(size_t count) {
    for (; count > 0; --count) apply(server_->random_() % waiting_.size());
    return told();
  }
  Status apply_all() { return apply_some(waiting_.size()); }
  Status told() { return std::exchange(failed_, Status()); }

  DirectoryServer* server_;
  std::string path_;
  Fd fd_;
  std::vector<Waiting> waiting_;
  Status failed_;
  std::optional<std::vector<std::byte>> committing_;
  unsigned polls_ = 0;
  bool changed_ = false;
};

std::vector<std::byte> ServerDisk::confirmed(const std::string& path) const {
  struct stat status;
  if (::lstat((folder_ + "/" + path).c_str(), &status) != 0) return {};
  auto found = confirmed_.find(status.st_ino);
  return found == confirmed_.end() ? std::vector<std::byte>() : found->second;
}

void ServerDisk::cut_power(uint64_t seed) {
  std::mt19937_64 random(seed);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    Fd fd = std::move(open_file(entry.path().c_str(), O_RDWR).value());
    std::vector<std::byte> now = content_of(fd.get());
    const std::vector<std::byte>& safe = committed_[status_of(fd.get()).st_ino];
    size_t size = random() % 2 == 0 ? safe.size() : now.size();
    std::vector<std::byte> left = safe;
    left.resize(size);
    for (size_t at = 0; at < size; at += kSector) {
      if (at >= now.size() || random() % 2 == 0) continue;
      size_t n = std::min({kSector, size - at, now.size() - at});
      std::copy_n(now.begin() + static_cast<ptrdiff_t>(at), n,
                  left.begin() + static_cast<ptrdiff_t>(at));
    }
    if (!write_all_at(fd.get(), left, 0).ok() ||
        ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
      throw std::runtime_error("write");
    committed_[status_of(fd.get()).st_ino] = left;
  }
}

DirectoryServer::DirectoryServer(ServerDisk& disk, const ServerFaults& faults)
    : disk_(&disk),
      faults_(faults),
      connection_(++disk.connections_),
      random_(faults.seed * 1000003 + connection_) {}

std::string DirectoryServer::full(const std::string& path) const {
  return disk_->folder() + "/" + path;
}

Error DirectoryServer::lost_error() const {
  return Error(ErrorKind::kLost, "the connection is lost").on(display());
}

Status DirectoryServer::begin_call() {
  ++trips_;
  if (!lost_ && calls_++ == faults_.lose_at) lose();
  return lost_ ? Status(lost_error()) : Status();
}

Status DirectoryServer::change(const std::function<Status()>& act) {
  ++trips_;
  if (lost_) return lost_error();
  if (calls_++ != faults_.lose_at) return act();
  if (random_() % 2 == 0) (void)act();
  lose();
  return lost_error();
}

void DirectoryServer::lose() {
  lost_ = true;
  for (DirectoryFile* file : files_) file->lose();
}

Result<ServerEntry> DirectoryServer::look(const std::string& path) {
  DW_TRY(begin_call());
  struct stat status;
  if (::lstat(full(path).c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return ServerEntry{};
    return Error::from_errno("cannot look at").on(path);
  }
  if (S_ISDIR(status.st_mode)) return ServerEntry{.kind = ServerEntry::Kind::kDirectory, .size = 0};
  if (!S_ISREG(status.st_mode)) return ServerEntry{.kind = ServerEntry::Kind::kOther, .size = 0};
  return ServerEntry{.kind = ServerEntry::Kind::kFile,
                     .size = static_cast<uint64_t>(status.st_size)};
}

Status DirectoryServer::make_directory(const std::string& path) {
  return change(
      [&] { return done(::mkdir(full(path).c_str(), 0700), "cannot make the folder", path); });
}

Result<std::unique_ptr<ServerFile>> DirectoryServer::open(const std::string& path, Open how) {
  int flags = how == Open::kRead ? O_RDONLY : O_RDWR;
  if (how == Open::kCreate) flags |= O_CREAT | O_EXCL;
  Fd opened;
  DW_TRY(change([&]() -> Status {
    Result<Fd> fd = open_file(full(path).c_str(), flags | O_NOFOLLOW, 0600);
    if (!fd.ok()) return Error(fd.error()).on(path);
    opened = std::move(*fd);
    return {};
  }));
  return std::unique_ptr<ServerFile>(
      std::make_unique<DirectoryFile>(*this, path, std::move(opened)));
}

Status DirectoryServer::rename(const std::string& from, const std::string& to) {
  return change([&] { return rename_in(AT_FDCWD, full(from).c_str(), full(to).c_str()); });
}

Status DirectoryServer::replace(const std::string& from, const std::string& to) {
  return change(
      [&] { return done(::rename(full(from).c_str(), full(to).c_str()), "cannot rename", from); });
}

std::vector<Result<ServerEntry>> DirectoryServer::look_at(std::span<const std::string> paths) {
  return together([&] { return FileServer::look_at(paths); });
}

Status DirectoryServer::rename_open(const std::string& from, const std::string& to,
                                    ServerFile& file) {
  return together([&] { return FileServer::rename_open(from, to, file); });
}

Status DirectoryServer::replace_open(const std::string& from, const std::string& to,
                                     ServerFile& file) {
  return together([&] { return FileServer::replace_open(from, to, file); });
}

Result<bool> DirectoryServer::has_name(ServerFile& file, const std::string& path,
                                       const FileLengths& lengths) {
  return together([&] { return FileServer::has_name(file, path, lengths); });
}

Status DirectoryServer::remove(const std::string& path) {
  return change([&] {
    struct stat status;
    if (::lstat(full(path).c_str(), &status) == 0) {
      disk_->committed_.erase(status.st_ino);
      disk_->confirmed_.erase(status.st_ino);
    }
    return done(::unlink(full(path).c_str()), "cannot remove", path);
  });
}

Status DirectoryServer::remove_directory(const std::string& path) {
  return change([&] { return done(::rmdir(full(path).c_str()), "cannot remove", path); });
}

Result<std::optional<uint64_t>> DirectoryServer::free_bytes() {
  DW_TRY(begin_call());
  struct statvfs status;
  if (::statvfs(disk_->folder().c_str(), &status) != 0) return Error::from_errno("statvfs");
  return std::optional<uint64_t>(uint64_t{status.f_bavail} * status.f_frsize);
}

}  // namespace dw::test
