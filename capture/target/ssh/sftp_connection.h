// One connection that speaks SFTP: requests go in and out in a queue of fixed size, and each answer
// goes to whoever asked. Never waits.
//
// Bytes to write are copied once, into the queue; nothing is kept after it was sent, since nothing
// is ever sent twice: a connection that breaks takes the server object with it.
// Thread safety: none. Ownership: whoever waits for an answer outlives it, or calls forget().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/ssh/sftp_message.h"
#include "capture/target/ssh/ssh_session.h"

namespace dw {

class SftpWaiter {
 public:
  // `tag` is what it gave with the request. Must not call the connection.
  virtual void answered(uint32_t tag, const SftpReply& reply) = 0;

 protected:
  ~SftpWaiter() = default;
};

class SftpConnection final : private ByteSink {
 public:
  // OpenSSH takes 255 KiB, but larger pieces gain nothing.
  static constexpr size_t kMostPiece = 64 << 10;

  static Result<std::unique_ptr<SftpConnection>> create(Fd socket, const SshLogin& login);

  // Does what can be done at once. Errors as SshSession::work(); kIo if it is no SFTP.
  Status work();
  // The login is done and the server's abilities are known; its limits may come later.
  [[nodiscard]] bool ready() const { return step_ == Step::kReady; }
  [[nodiscard]] const SftpAbilities& abilities() const { return abilities_; }

  // Most bytes of one kWrite and one kRead that this server takes.
  [[nodiscard]] size_t write_piece() const { return write_piece_; }
  [[nodiscard]] size_t read_piece() const { return read_piece_; }

  [[nodiscard]] uint32_t next_id() const { return next_id_; }
  // Whether a request of so many bytes can be queued now. All small ones can be, sooner or later.
  [[nodiscard]] bool has_room(size_t bytes) const;
  // With has_room(). `request` has next_id(), `payload` follows it.
  void send(std::string_view request, Bytes payload, SftpWaiter& waiter, uint32_t tag);
  // Closes it some time, without anybody waiting.
  void close_handle(std::string handle);
  // Answers to `waiter` go nowhere; handles in them are closed.
  void forget(const SftpWaiter& waiter);

  [[nodiscard]] size_t unanswered() const { return unanswered_; }
  // Bytes that could be queued now and sent without waiting for the server.
  [[nodiscard]] size_t open_window() const;
  // The server's window, and nothing else, holds back what is queued.
  [[nodiscard]] bool starved() const;
  // Messages that came so far. Sending may bring some, too: libssh reads whenever it looks.
  [[nodiscard]] uint64_t messages() const { return messages_; }
  // When an answer last came, or the first request that has none was sent.
  [[nodiscard]] uint64_t heard_ms() const { return heard_ms_; }
  // When anything last came.
  [[nodiscard]] uint64_t received_ms() const { return received_ms_; }
  // The shortest time an answer took, or kUnknown.
  static constexpr uint32_t kUnknown = UINT32_MAX;
  [[nodiscard]] uint32_t round_trip_us() const { return round_trip_us_; }

  // OpenSSH's sftp-server does what it is asked one after the other. Behind an OpenSSH sshd another
  // one may stand.
  [[nodiscard]] bool works_in_order() const {
    return session_->is_openssh() && abilities_.like_openssh();
  }

  Status ping();
  // When the question that has no answer yet was asked.
  [[nodiscard]] std::optional<uint64_t> pinging_since_ms() const;

  [[nodiscard]] int fd() const { return session_->fd(); }
  [[nodiscard]] short events() const { return session_->events(); }

  [[nodiscard]] static constexpr size_t memory_bytes() {
    return kQueueBytes + kMostAnswer + sizeof(SftpConnection);
  }

 private:
  enum class Step : uint8_t { kSession, kVersion, kReady };
  struct Pending {
    bool used = false;
    uint32_t id = 0;
    uint32_t tag = 0;
    SftpWaiter* waiter = nullptr;
  };

  static constexpr size_t kQueueBytes = 2 * kMostPiece + (8 << 10);
  static constexpr size_t kMostRequests = 256;
  static constexpr size_t kReadPiece = 64 << 10;
  static constexpr size_t kMostAnswer = kReadPiece + 1024;
  static constexpr size_t kDefaultPiece = 32 << 10;  // what every server takes

  SftpConnection(const SshLogin& login, Buffer queue);

  void take(Bytes bytes) override;
  Status take_message(Bytes message);
  Status take_answer(Bytes message);
  Status take_limits(const SftpReply& reply);
  void deliver(const Pending& pending, const SftpReply& reply);
  void note_time(uint32_t id);
  void enqueue(std::string_view request, Bytes payload);
  Status start_sftp();
  Status send_queued();
  void close_handles();

  const SshLogin* login_;
  std::unique_ptr<SshSession> session_;
  Buffer queue_;
  size_t queue_begin_ = 0;
  size_t queue_end_ = 0;
  SftpAssembler assembler_{kMostAnswer};
  std::array<Pending, kMostRequests> pending_{};
  std::vector<std::string> to_close_;
  std::optional<Error> broken_;  // found while libssh was on the stack
  SftpAbilities abilities_;
  size_t write_piece_ = kDefaultPiece;
  size_t read_piece_ = kDefaultPiece;
  size_t unanswered_ = 0;
  uint64_t messages_ = 0;
  uint64_t heard_ms_ = 0;
  uint64_t received_ms_ = 0;
  uint64_t received_bytes_ = 0;
  uint64_t timed_since_ns_ = 0;
  uint64_t ping_ms_ = 0;
  uint32_t timed_id_ = 0;
  uint32_t round_trip_us_ = kUnknown;
  uint32_t next_id_ = 0;
  std::optional<uint32_t> limits_id_;  // as long as they are not known
  Step step_ = Step::kSession;
};

}  // namespace dw
