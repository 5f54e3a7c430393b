// A server for tests that keeps its files in a folder, and does all that a FileServer may do to
// whoever counts on more than it promises.
//
// Writes are held back and done in any order. One that overlaps another on its way, and a read of
// what is on its way, is refused, and noted. At a call by number the connection is lost: that call
// is done or not, of the writes on their way some are done, and everything fails from then on. The
// disk behind it knows what was committed, so that a power cut there can take the rest.
// Thread safety: none. Ownership: the disk outlives its servers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "capture/target/server/file_server.h"

namespace dw::test {

// What stays when a connection is gone: a folder, what of its files was committed, and a list of
// what was ever written.
class ServerDisk {
 public:
  struct Write {
    unsigned connection;  // counted from 1
    std::string path;
    uint64_t offset;
    uint64_t length;
  };

  explicit ServerDisk(std::string folder) : folder_(std::move(folder)) {}

  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] const std::vector<Write>& writes() const { return writes_; }
  // What the file held when a connection that had changed it committed that last; nothing if none
  // did.
  [[nodiscard]] std::vector<std::byte> confirmed(const std::string& path) const;
  // The server goes down: of what was not committed any sectors are lost.
  void cut_power(uint64_t seed);

 private:
  friend class DirectoryServer;
  friend class DirectoryFile;

  std::string folder_;
  std::vector<Write> writes_;
  unsigned connections_ = 0;
  // By inode.
  std::map<uint64_t, std::vector<std::byte>> committed_;
  std::map<uint64_t, std::vector<std::byte>> confirmed_;
};

struct ServerFaults {
  static constexpr uint64_t kNever = ~uint64_t{0};

  uint64_t lose_at = kNever;       // the call with this number, from 0
  uint64_t seed = 1;               // of all that is random
  size_t most_on_their_way = 200;  // writes for each file
};

class DirectoryFile;

class DirectoryServer : public FileServer {
 public:
  explicit DirectoryServer(ServerDisk& disk, const ServerFaults& faults = {});

  Result<ServerEntry> look(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Result<std::unique_ptr<ServerFile>> open(const std::string& path, Open how) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status replace(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::optional<uint64_t>> free_bytes() override;
  std::vector<Result<ServerEntry>> look_at(std::span<const std::string> paths) override;
  Status rename_open(const std::string& from, const std::string& to, ServerFile& file) override;
  Status replace_open(const std::string& from, const std::string& to, ServerFile& file) override;
  Result<bool> has_name(ServerFile& file, const std::string& path,
                        const FileLengths& lengths) override;
  [[nodiscard]] size_t memory_bytes() const override { return 0; }
  [[nodiscard]] std::string display() const override { return "server:" + disk_->folder(); }

  [[nodiscard]] uint64_t calls() const { return calls_; }
  [[nodiscard]] bool lost() const { return lost_; }
  // Calls that waited for all that was on its way.
  [[nodiscard]] uint64_t waits() const { return waits_; }
  // Round trips to a server that is sent all that belongs together at once.
  [[nodiscard]] uint64_t trips() const { return trips_; }
  // Calls that read.
  [[nodiscard]] uint64_t reads() const { return reads_; }
  // How often the contract was broken.
  [[nodiscard]] unsigned misuses() const { return misuses_; }

 private:
  friend class DirectoryFile;

  [[nodiscard]] std::string full(const std::string& path) const;
  [[nodiscard]] Error lost_error() const;
  // Each counts a call.
  Status begin_call();
  Status change(const std::function<Status()>& act);
  // What several calls do in one round trip.
  template <typename Act>
  auto together(Act act) {
    uint64_t before = trips_;
    auto result = act();
    trips_ = before + 1;
    return result;
  }
  void lose();

  ServerDisk* disk_;
  ServerFaults faults_;
  unsigned connection_;
  std::mt19937_64 random_;
  std::vector<DirectoryFile*> files_;  // open ones
  uint64_t calls_ = 0;
  uint64_t waits_ = 0;
  uint64_t trips_ = 0;
  uint64_t reads_ = 0;
  unsigned misuses_ = 0;
  bool lost_ = false;
};

}  // namespace dw::test
