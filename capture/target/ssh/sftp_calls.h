// The calls of SFTP that are asked for one at a time, and what their refusals mean.
//
// SFTP has one number for most of what can go wrong, so the reason is looked for: is the name
// taken, the disk full, the file system read-only? Thread safety: none. Ownership: the pool
// outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/target/server/file_server.h"
#include "capture/target/ssh/sftp_pool.h"

namespace dw {

class SftpCalls {
 public:
  // Of put(). What every server takes in one request.
  static constexpr size_t kMostContent = 32 << 10;

  // `directory`: paths are relative to it. `display`: what it is called in messages.
  SftpCalls(SftpPool& pool, std::string directory, std::string display);

  [[nodiscard]] SftpPool& pool() const { return *pool_; }
  [[nodiscard]] const SftpAbilities& abilities() const { return pool_->first().abilities(); }
  // For the server.
  [[nodiscard]] std::string absolute(const std::string& path) const;
  // For messages.
  [[nodiscard]] std::string display(const std::string& path) const;

  // Of the directory itself with "". Makes it and its parents if they are missing.
  Status prepare_directory();

  Result<ServerEntry> look(const std::string& path);
  std::vector<Result<ServerEntry>> look_at(std::span<const std::string> paths);
  Status make_directory(const std::string& path);
  // The handle.
  Result<std::string> open(const std::string& path, FileServer::Open how);
  // With the handle of the file that is renamed: its new name is durable then.
  Status rename(const std::string& from, const std::string& to, const std::string& handle = {});
  Status replace(const std::string& from, const std::string& to, const std::string& handle = {});
  Status remove(const std::string& path);
  Status remove_directory(const std::string& path);
  // None if the server does not tell.
  Result<std::optional<SftpSpace>> space();

  // Of an open file; `path` is for messages.
  Result<uint64_t> size(const std::string& handle, const std::string& path);
  Status truncate(const std::string& handle, const std::string& path, uint64_t length);
  // Both need a server that does what it is asked in order. The file's whole content, durable.
  Status put(const std::string& handle, const std::string& path, Bytes content);
  // FileServer's has_name().
  Result<bool> has_name(const std::string& handle, const std::string& path,
                        const FileLengths& lengths);

  // The meaning of a status, as far as it has one of its own.
  [[nodiscard]] Error refusal(SftpStatus status, const char* what, const std::string& path) const;
  // Why a write was refused, or an error of the connection.
  Error write_refusal(SftpStatus status, const std::string& handle, const std::string& path);

 private:
  enum class Taken : uint8_t { kNo, kMeansExists };

  Result<SftpStatus> status_of(SftpMessage message);
  // kOk, or an error; looks for the reason of a kFailure. With kMeansExists, `path` having an entry
  // is one.
  Status done(const Result<SftpStatus>& status, const char* what, const std::string& path,
              Taken taken);
  Result<int> reason(const std::string& path, Taken taken);
  Result<int> write_reason(const std::string& handle);
  Result<std::vector<SftpAnswer>> ask(std::vector<SftpMessage> messages);
  // One behind the other on their way, as far as the server does them in order.
  Result<std::vector<SftpStatus>> in_order(std::vector<SftpMessage> messages);
  // Behind them a sync of the open file, if there is one and the server can.
  Result<std::vector<SftpStatus>> synced(std::vector<SftpMessage> messages,
                                         const std::string& handle);
  Status renamed(SftpMessage message, const std::string& handle, const char* what,
                 const std::string& to, Taken taken);
  [[nodiscard]] Result<ServerEntry> entry_in(const SftpAnswer& answer,
                                             const std::string& path) const;
  // directory_ and those above it.
  [[nodiscard]] std::vector<std::string> directories() const;
  Result<std::vector<std::string>> missing_directories();
  Result<bool> is_directory(const std::string& absolute_path);
  Result<bool> is_directory(const SftpAnswer& answer) const;
  [[nodiscard]] std::optional<SftpSpace> space_in(const SftpAnswer& answer) const;

  SftpPool* pool_;
  std::string directory_;
  std::string display_;
};

// What one looks like from outside; `none` if it says nothing.
[[nodiscard]] ServerEntry entry_of(const SftpAttributes& attributes);

}  // namespace dw
