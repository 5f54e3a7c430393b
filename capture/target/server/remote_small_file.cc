#include "capture/target/server/remote_small_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

namespace dw {

namespace {

constexpr size_t kMostAtOnce = 32 << 10;  // of ServerFile::put()

// Of a new file: nothing but `content` is in it then, and durable.
Status fill(ServerFile& file, const FileContent& content) {
  std::optional<Bytes> whole = content.whole();
  if (whole && whole->size() <= kMostAtOnce) return file.put(*whole);
  uint64_t written = 0;
  DW_TRY(content.copy_to([&](Bytes bytes) {
    return file.write(std::exchange(written, written + bytes.size()), bytes);
  }));
  return file.commit();
}

}  // namespace

Result<RemoteSmallFile> RemoteSmallFile::create(FileServer& server, std::string path,
                                                size_t bytes) {
  RemoteSmallFile file(server, std::move(path), bytes);
  Status reserved = file.reserve_all();
  if (reserved.ok()) return file;
  file.remove_spares();
  return reserved.error();
}

Status RemoteSmallFile::reserve_all() {
  DW_ASSIGN(spare_, reserve(spare_path()));
  const std::string paths[] = {path_, second_path(), once_path()};
  std::vector<Result<ServerEntry>> entries = server_->look_at(paths);
  DW_TRY(spare_->flush());
  DW_ASSIGN(ServerEntry there, entries[0]);
  DW_ASSIGN(ServerEntry second, entries[1]);
  // Of a run that was cut off, or of an announcement that is late.
  DW_ASSIGN(ServerEntry once, entries[2]);
  if (once.kind != ServerEntry::Kind::kNothing) (void)server_->remove(once_path());
  second_there_ = second.kind != ServerEntry::Kind::kNothing;
  if (there.kind != ServerEntry::Kind::kNothing) return {};
  DW_ASSIGN(second_, reserve(second_path()));
  second_there_ = true;
  return second_->flush();
}

// Whoever may still write to one that was left there does so to a file without a name.
Result<std::unique_ptr<ServerFile>> RemoteSmallFile::make(const std::string& path) const {
  Result<std::unique_ptr<ServerFile>> made = server_->open(path, FileServer::Open::kCreate);
  if (made.ok() || made.error().errno_value() != EEXIST) return made;
  DW_TRY(server_->remove(path));
  return server_->open(path, FileServer::Open::kCreate);
}

Result<std::unique_ptr<ServerFile>> RemoteSmallFile::reserve(const std::string& path) const {
  static constexpr std::array<std::byte, 4096> kZeros{};
  DW_ASSIGN(std::unique_ptr<ServerFile> file, make(path));
  for (size_t at = 0; at < bytes_; at += kZeros.size())
    DW_TRY(file->write(at, std::span(kZeros).first(std::min(kZeros.size(), bytes_ - at))));
  return file;
}

Status RemoteSmallFile::put(Bytes content) {
  DW_TRY(replace(content));
  // Without room for the next content this one is there all the same.
  next_spare();
  return {};
}

Status RemoteSmallFile::put_last(Bytes content) {
  DW_TRY(replace(content));
  second_.reset();
  if (second_there_) (void)server_->remove(second_path());
  second_there_ = false;
  return {};
}

Status RemoteSmallFile::replace(Bytes content) {
  DW_ASSIGN(std::unique_ptr<ServerFile> file, put_into_spare(content));
  return server_->replace_open(spare_path(), path_, *file);
}

Result<std::unique_ptr<ServerFile>> RemoteSmallFile::put_into_spare(Bytes content) {
  std::unique_ptr<ServerFile> file = std::move(spare_);
  // What was no room for it may be room for the content.
  if (file) (void)file->flush();
  if (!file) {
    DW_ASSIGN(file, make(spare_path()));
  }
  DW_TRY(file->put(content));
  return file;
}

void RemoteSmallFile::next_spare() {
  if (second_ && server_->rename(second_path(), spare_path()).ok()) {
    spare_ = std::move(second_);
    second_there_ = false;
    return;
  }
  Result<std::unique_ptr<ServerFile>> reserved = reserve(spare_path());
  if (reserved.ok()) spare_ = std::move(*reserved);
}

Status RemoteSmallFile::put_new(const FileContent& content, const StillWanted& wanted) const {
  DW_ASSIGN(std::unique_ptr<ServerFile> file, make(once_path()));
  DW_TRY(fill(*file, content));
  DW_TRY(check_wanted(wanted));
  return server_->replace_open(once_path(), path_, *file);
}

Status RemoteSmallFile::put_once(FileServer& server, const std::string& path,
                                 const FileContent& content, const StillWanted& wanted) {
  RemoteSmallFile file(server, path, 0);
  Status put = file.put_new(content, wanted);
  if (!put.ok()) (void)server.remove(file.once_path());
  return put;
}

void RemoteSmallFile::remove_spares(FileServer& server, const std::string& path) {
  RemoteSmallFile file(server, path, 0);
  file.second_there_ = true;
  file.remove_spares();
  (void)server.remove(file.once_path());
}

void RemoteSmallFile::remove_spares() {
  spare_.reset();
  second_.reset();
  (void)server_->remove(spare_path());
  if (second_there_) (void)server_->remove(second_path());
}

}  // namespace dw
