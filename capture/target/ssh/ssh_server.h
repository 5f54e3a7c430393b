// A directory on an SSH server, over SFTP.
//
// Logs in with a private key alone, to a server whose host key stands in our known_hosts file; no
// configuration file, agent or password has a say. What the server can beyond SFTP version 3
// (fsync, statvfs, a rename that replaces) is used where it says so.
// Thread safety and ownership: as FileServer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capture/target/server/file_server.h"
#include "capture/target/ssh/sftp_calls.h"
#include "capture/target/ssh/sftp_pool.h"
#include "capture/target/ssh/ssh_address.h"
#include "capture/target/ssh/ssh_file.h"

namespace dw {

class SshServer final : public FileServer {
 public:
  // Makes the directory (mode 0700) and those above it if they are missing. Errors: kUsage for a
  // key or known_hosts file that cannot be used; kLost and kTimeout; otherwise kIo, where trying
  // again does not help: an unknown or changed host key, a login or an SFTP that is refused.
  static Result<std::unique_ptr<FileServer>> open(const SshAddress& address,
                                                  const SshOptions& options,
                                                  const ServerTimes& times);

  Result<ServerEntry> look(const std::string& path) override;
  std::vector<Result<ServerEntry>> look_at(std::span<const std::string> paths) override;
  Status make_directory(const std::string& path) override;
  Result<std::unique_ptr<ServerFile>> open(const std::string& path, Open how) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status replace(const std::string& from, const std::string& to) override;
  Status rename_open(const std::string& from, const std::string& to, ServerFile& file) override;
  Status replace_open(const std::string& from, const std::string& to, ServerFile& file) override;
  Result<bool> has_name(ServerFile& file, const std::string& path,
                        const FileLengths& lengths) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::optional<uint64_t>> free_bytes() override;

  [[nodiscard]] ServerPromises promises() const override;
  void keep_alive() override { (void)pool_->work(); }
  [[nodiscard]] size_t memory_bytes() const override;
  [[nodiscard]] std::string display() const override { return calls_.display(""); }

  // Connections that are in use, for measurements.
  [[nodiscard]] size_t connections() const { return pool_->ready_count(); }

 private:
  SshServer(std::unique_ptr<SftpPool> pool, const SshAddress& address);

  // Open files are opened by name on further connections: they have to know theirs.
  void note_rename(const std::string& from, const std::string& to);

  std::unique_ptr<SftpPool> pool_;
  SftpCalls calls_;
  std::vector<SshFile*> files_;  // those that are open
};

}  // namespace dw
