// A file on an SSH server, open once on each connection, so that writes go over all of them.
//
// A write that was refused is told once, by a later call, which waits for all answers first.
// Thread safety: none. Ownership: the SftpCalls outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capture/target/server/file_server.h"
#include "capture/target/ssh/sftp_calls.h"

namespace dw {

class SshFile final : public ServerFile, private SftpWaiter {
 public:
  // `handle`: of the first connection. The file can be written if `writable`. It stands in
  // `open_files`, which outlives it, as long as it is there.
  SshFile(SftpCalls& calls, std::vector<SshFile*>& open_files, std::string path, std::string handle,
          bool writable);
  ~SshFile() override;

  Status write(uint64_t offset, Bytes bytes) override;
  Status flush() override;
  Status read(uint64_t offset, MutableBytes into) override;
  Result<uint64_t> size() override;
  Status truncate(uint64_t length) override;
  Status commit() override;
  Status start_commit() override;
  bool commit_done() override;
  Status finish_commit() override;
  Status put(Bytes content) override;

  // Of the first connection.
  [[nodiscard]] const std::string& handle() const { return places_[0].handle; }
  [[nodiscard]] const std::string& path() const { return path_; }
  // It was given another name; "" if it has none any more.
  void renamed(std::string path) { path_ = std::move(path); }

 private:
  enum class State : uint8_t { kClosed, kOpening, kOpen, kRefused };
  struct Place {
    State state = State::kClosed;
    std::string handle;
    bool dirty = false;  // written to since the last sync
  };
  enum Tag : uint32_t { kWriteTag = 0, kSyncTag = 0x100, kOpenTag = 0x200, kSlotMask = 0xff };

  void answered(uint32_t tag, const SftpReply& reply) override;
  void opened(Place& place, const SftpReply& reply);
  // Where a write of `bytes` can go; waits until there is one.
  Result<size_t> choose(size_t bytes, const SftpPool::Patience& patience);
  // The same, without waiting.
  [[nodiscard]] std::optional<size_t> best(size_t bytes) const;
  // Begins to open the file on connections that are new.
  void open_everywhere();
  Status send_sync(size_t slot);
  Status drain();
  // Of a write that was refused.
  Status told();

  SftpCalls* calls_;
  SftpPool* pool_;
  std::vector<SshFile*>* open_files_;
  std::string path_;
  std::array<Place, SftpPool::kMostConnections> places_;
  std::optional<SftpStatus> refused_;  // a write
  std::optional<SftpStatus> sync_refused_;
  size_t writing_ = 0;  // writes without an answer
  size_t syncing_ = 0;
  bool writable_;
};

}  // namespace dw
