#include "capture/target/server/remote_small_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace dw {

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
  DW_ASSIGN(ServerEntry there, server_->look(path_));
  if (there.kind != ServerEntry::Kind::kNothing) return {};
  DW_ASSIGN(second_, reserve(second_path()));
  return {};
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
  DW_TRY(file->flush());
  return file;
}

Status RemoteSmallFile::put(Bytes content) {
  DW_ASSIGN(std::unique_ptr<ServerFile> file, put_into_spare(content));
  DW_TRY(server_->replace(spare_path(), path_));
  // Its name is durable too when the file is synced under it.
  DW_TRY(file->commit());
  // Without room for the next content this one is there all the same.
  if (bytes_ > 0) next_spare();
  return {};
}

Result<std::unique_ptr<ServerFile>> RemoteSmallFile::put_into_spare(Bytes content) {
  std::unique_ptr<ServerFile> file = std::move(spare_);
  bool longer = file && bytes_ > content.size();
  if (!file) {
    DW_ASSIGN(file, make(spare_path()));
  }
  DW_TRY(file->write(0, content));
  if (longer) DW_TRY(file->truncate(content.size()));
  DW_TRY(file->commit());
  return file;
}

void RemoteSmallFile::next_spare() {
  if (second_ && server_->rename(second_path(), spare_path()).ok()) {
    spare_ = std::move(second_);
    return;
  }
  Result<std::unique_ptr<ServerFile>> reserved = reserve(spare_path());
  if (reserved.ok()) spare_ = std::move(*reserved);
}

Status RemoteSmallFile::put_once(FileServer& server, const std::string& path, Bytes content) {
  RemoteSmallFile file(server, path, 0);
  Status put = file.put(content);
  if (!put.ok()) (void)server.remove(file.spare_path());
  return put;
}

void RemoteSmallFile::remove_spares(FileServer& server, const std::string& path) {
  RemoteSmallFile(server, path, 0).remove_spares();
}

void RemoteSmallFile::remove_spares() {
  spare_.reset();
  second_.reset();
  (void)server_->remove(spare_path());
  (void)server_->remove(second_path());
}

}  // namespace dw
