// One or several connections to one server, and every wait for them.
//
// The first connection is opened at once; the others, all together and in the background, when the
// way is so long that the server's window holds back the first. One that cannot be opened is done
// without. One that breaks later breaks the pool: what was on its way is in doubt. From then on
// each call returns that error at once. Thread safety: none. Ownership: the pool owns its
// connections.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/base/result.h"
#include "capture/target/server/file_server.h"
#include "capture/target/server/tcp_connect.h"
#include "capture/target/ssh/sftp_connection.h"
#include "capture/target/ssh/ssh_key.h"

namespace dw {

// An answer that outlives its message.
struct SftpAnswer {
  SftpType type = SftpType::kStatus;
  SftpStatus status = SftpStatus::kOk;
  std::string data;
  SftpAttributes attributes;
};

class SftpPool {
 public:
  static constexpr unsigned kMostConnections = 8;

  // Waits until the first connection is ready.
  static Result<std::unique_ptr<SftpPool>> open(const SshAddress& address,
                                                const SshOptions& options,
                                                const ServerTimes& times);

  // When a wait began: an answer that came earlier gives no more time.
  class Patience {
   public:
    Patience();
    [[nodiscard]] uint64_t since_ms() const { return since_ms_; }

   private:
    uint64_t since_ms_;
  };

  // Whether it is broken.
  [[nodiscard]] Status state() const;
  // Does what can be done without waiting.
  Status work();
  // Waits until something happens, or a limit is over.
  Status wait(const Patience& patience);

  // A request to the first connection and its answer. Errors only of the connection.
  Result<SftpAnswer> call(SftpMessage message);
  // Several, without waiting in between, and their answers in the same order.
  Result<std::vector<SftpAnswer>> call_all(std::vector<SftpMessage> messages);

  // Opens the others if they would help.
  void grow_if_slow();
  // Slots for connections; their numbers stay.
  [[nodiscard]] size_t slots() const { return links_.size(); }
  // Null as long as it is not ready.
  [[nodiscard]] SftpConnection* at(size_t slot) const;
  [[nodiscard]] SftpConnection& first() const { return *links_[0].connection; }
  [[nodiscard]] size_t ready_count() const;

  // While a sync is waited for, everything may take as long as that.
  void sync_begins() { ++syncs_; }
  void sync_ends() { --syncs_; }

  void forget(const SftpWaiter& waiter);

  [[nodiscard]] size_t memory_bytes() const;

 private:
  struct Link {
    std::unique_ptr<SftpConnection> connection;
    uint64_t deadline_ms = 0;  // until it is ready
    bool ready = false;
  };

  SftpPool(const SshAddress& address, const SshOptions& options, const ServerTimes& times);

  Status open_first();
  Result<Link> start(Fd socket);
  Status work_on(Link& link, bool is_first);
  void grow();
  Status check_limits(const Patience& patience);
  Status check_ready(Link& link, uint64_t since_ms, uint64_t now_ms);
  [[nodiscard]] uint64_t next_look_ms(const Patience& patience, uint64_t now_ms) const;
  [[nodiscard]] uint64_t messages() const;
  [[nodiscard]] uint64_t answer_limit_ms() const;
  Error broke(const Error& error);

  SshLogin login_;
  SshKey key_;
  ServerTimes times_;
  Endpoint endpoint_;
  std::vector<Link> links_;
  std::optional<Error> broken_;
  unsigned syncs_ = 0;
  bool grown_ = false;
};

}  // namespace dw
