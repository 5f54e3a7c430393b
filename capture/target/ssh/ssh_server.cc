#include "capture/target/ssh/ssh_server.h"

#include <algorithm>
#include <utility>

namespace dw {

SshServer::SshServer(std::unique_ptr<SftpPool> pool, const SshAddress& address)
    : pool_(std::move(pool)), calls_(*pool_, address.directory, display_of(address)) {}

Result<std::unique_ptr<FileServer>> SshServer::open(const SshAddress& address,
                                                    const SshOptions& options,
                                                    const ServerTimes& times) {
  DW_ASSIGN(auto pool, SftpPool::open(address, options, times));
  std::unique_ptr<SshServer> server(new SshServer(std::move(pool), address));
  DW_TRY(server->calls_.prepare_directory());
  server->pool_->grow_if_slow();
  return std::unique_ptr<FileServer>(std::move(server));
}

Result<ServerEntry> SshServer::look(const std::string& path) { return calls_.look(path); }

std::vector<Result<ServerEntry>> SshServer::look_at(std::span<const std::string> paths) {
  return calls_.look_at(paths);
}

Status SshServer::make_directory(const std::string& path) { return calls_.make_directory(path); }

Result<std::unique_ptr<ServerFile>> SshServer::open(const std::string& path, Open how) {
  DW_ASSIGN(std::string handle, calls_.open(path, how));
  return std::unique_ptr<ServerFile>(
      new SshFile(calls_, files_, path, std::move(handle), how != Open::kRead));
}

void SshServer::note_rename(const std::string& from, const std::string& to) {
  for (SshFile* file : files_) {
    const std::string& path = file->path();
    if (path == to) {
      file->renamed("");  // replaced
    } else if (path == from) {
      file->renamed(to);
    } else if (path.starts_with(from + "/")) {
      file->renamed(to + path.substr(from.size()));
    }
  }
}

Status SshServer::rename(const std::string& from, const std::string& to) {
  DW_TRY(calls_.rename(from, to));
  note_rename(from, to);
  return {};
}

Status SshServer::replace(const std::string& from, const std::string& to) {
  DW_TRY(calls_.replace(from, to));
  note_rename(from, to);
  return {};
}

Status SshServer::rename_open(const std::string& from, const std::string& to, ServerFile& file) {
  DW_TRY(calls_.rename(from, to, static_cast<SshFile&>(file).handle()));
  note_rename(from, to);
  return {};
}

Status SshServer::replace_open(const std::string& from, const std::string& to, ServerFile& file) {
  DW_TRY(calls_.replace(from, to, static_cast<SshFile&>(file).handle()));
  note_rename(from, to);
  return {};
}

Result<bool> SshServer::has_name(ServerFile& file, const std::string& path,
                                 const FileLengths& lengths) {
  if (!pool_->first().works_in_order()) return FileServer::has_name(file, path, lengths);
  return calls_.has_name(static_cast<SshFile&>(file).handle(), path, lengths);
}

Status SshServer::remove(const std::string& path) {
  DW_TRY(calls_.remove(path));
  for (SshFile* file : files_) {
    if (file->path() == path) file->renamed("");
  }
  return {};
}

Status SshServer::remove_directory(const std::string& path) {
  return calls_.remove_directory(path);
}

Result<std::optional<uint64_t>> SshServer::free_bytes() {
  DW_ASSIGN(std::optional<SftpSpace> space, calls_.space());
  if (!space.has_value()) return std::optional<uint64_t>();
  return std::optional(space->free_bytes);
}

ServerPromises SshServer::promises() const {
  return {.durable = calls_.abilities().fsync, .replaces_safely = calls_.abilities().posix_rename};
}

size_t SshServer::memory_bytes() const { return pool_->memory_bytes(); }

}  // namespace dw
