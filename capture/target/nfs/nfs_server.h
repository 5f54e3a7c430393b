// A directory on an NFS server, spoken to without a mount and without the kernel's client.
//
// Thread safety, time limits and errors: server/file_server.h.
#pragma once

#include <memory>
#include <string>

#include "capture/target/nfs/nfs_address.h"
#include "capture/target/nfs/nfs_traffic.h"

namespace dw {

class NfsServer final : public FileServer {
 public:
  // Below what is exported, the directory is made if it is missing. Errors beside those of
  // FileServer: kUnsupported if the server does not speak the version.
  static Result<std::unique_ptr<FileServer>> open(const NfsAddress& address,
                                                  const ServerTimes& times);

  Result<ServerEntry> look(const std::string& path) override;
  std::vector<Result<ServerEntry>> look_at(std::span<const std::string> paths) override;
  Status make_directory(const std::string& path) override;
  Result<std::unique_ptr<ServerFile>> open(const std::string& path, Open how) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status finish_rename(const std::string& from, const std::string& to) override;
  Status replace(const std::string& from, const std::string& to) override;
  Status rename_open(const std::string& from, const std::string& to, ServerFile& file) override;
  Result<bool> has_name(ServerFile& file, const std::string& path,
                        const FileLengths& lengths) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::optional<uint64_t>> free_bytes() override;
  void keep_alive() override { (void)traffic_->move_on(); }
  [[nodiscard]] size_t memory_bytes() const override;
  [[nodiscard]] std::string display() const override { return display_; }

  // Of NFS: 3 or 4.
  [[nodiscard]] int version() const { return version_; }

 private:
  struct Place {
    NfsHandle directory;
    std::string name;
  };

  explicit NfsServer(const NfsAddress& address);

  Status begin(const NfsAddress& address, const ServerTimes& times);
  Status begin3(const NfsAddress& address, const ServerTimes& times);
  Status begin4(const NfsAddress& address, const ServerTimes& times);
  // From `root_` on; it becomes the directory at the end.
  Status descend(const std::string& path);
  enum class Missing : uint8_t { kError, kMake };
  Result<NfsHandle> walk(NfsHandle from, const std::string& path,
                         Missing missing = Missing::kError);
  Result<Place> place_of(const std::string& path);
  // With `open` its new name is durable then.
  Status rename_file(const Place& from, const NfsHandle& file, const Place& to, ServerFile* open);
  Result<ServerEntry> found(const Result<NfsEntry>& entry, const std::string& path);
  // The directory `path` may be another one, or gone.
  void forget(const std::string& path);
  void remember(const std::string& path, const NfsHandle& directory);
  Status rename_other(const Place& from, const Place& to);
  Status remove_at(const std::string& path, bool a_directory);
  // The error with its path, unless it is that of the connection.
  Error told(Error error, const std::string& path) const;

  std::string display_;
  int version_ = 0;
  NfsHandle root_;
  // Where the last path was: most calls come in twos and threes.
  std::string last_path_;
  std::optional<NfsHandle> last_directory_;
  std::unique_ptr<RpcConnection> connection_;
  std::unique_ptr<NfsProtocol> protocol_;
  std::unique_ptr<NfsTraffic> traffic_;
};

}  // namespace dw
