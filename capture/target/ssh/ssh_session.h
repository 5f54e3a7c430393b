// One SSH connection with the SFTP subsystem at its other end, over libssh. Never waits.
//
// libssh is used without blocking, on a socket of ours, so that each wait is in our hands. It
// queues whatever it is given to send, so it is given little at a time (write()). Thread safety:
// none. Ownership: the session owns its socket; the sink outlives it.
#pragma once

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include <cstdint>
#include <memory>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/ssh/ssh_address.h"

namespace dw {

// Is given what the server's subsystem writes, as it comes.
class ByteSink {
 public:
  virtual void take(Bytes bytes) = 0;

 protected:
  ~ByteSink() = default;
};

struct SshLogin {
  SshAddress address;
  SshOptions options;
  ssh_key key = nullptr;  // outlives the sessions
};

class SshSession {
 public:
  // `socket` is connected or about to be, and does not block.
  static Result<std::unique_ptr<SshSession>> create(Fd socket, const SshLogin& login,
                                                    ByteSink& sink);
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;
  // Closes the connection, without a word and without waiting.
  ~SshSession();

  // Does what can be done at once: key exchange, login, start of SFTP; then reading and sending.
  // Errors: kLost; before SFTP runs also kIo and kUsage, where trying again does not help.
  Status work();
  // SFTP was asked for: what is written is behind that, and the server does both in this order.
  [[nodiscard]] bool may_write() const { return sftp_asked_; }

  // Takes at most what the server's window lets through, and at most kMostAtOnce; 0 as long as
  // something taken earlier waits for the socket. may_write() is true.
  Result<size_t> write(Bytes bytes);
  // Bytes that the server would take now, beside what it was sent.
  [[nodiscard]] size_t window() const;
  // Something waits for the socket.
  [[nodiscard]] bool congested() const;

  // Asks the server for a sign of life; alive() tells whether the last one was answered.
  Status ping();
  [[nodiscard]] bool alive() const { return !pinging_; }

  [[nodiscard]] bool is_openssh() const { return ::ssh_get_openssh_version(session_) > 0; }
  [[nodiscard]] int fd() const { return fd_; }
  // For poll(2).
  [[nodiscard]] short events() const;
  [[nodiscard]] uint64_t bytes_received() const { return counter_.in_bytes; }

  static constexpr size_t kMostAtOnce = 64 << 10;

 private:
  enum class Step : uint8_t { kConnect, kAuthenticate, kOpenChannel, kStartSftp, kRunning };

  SshSession(const SshLogin& login, ByteSink& sink);

  Status configure();
  void set_option(ssh_options_e option, const void* value);
  Status set_callbacks();
  // True when the step is done.
  Result<bool> take_step();
  Result<bool> connect();
  Result<bool> authenticate();
  Result<bool> open_channel();
  Result<bool> start_sftp();
  Status receive_and_send();
  // With libssh's own words.
  [[nodiscard]] Error failed(ErrorKind kind, const char* what) const;
  [[nodiscard]] Error not_connected() const;
  static int on_data(ssh_session session, ssh_channel channel, void* data, uint32_t length,
                     int is_stderr, void* self);

  const SshLogin* login_;
  ByteSink* sink_;
  ssh_session session_ = nullptr;
  ssh_channel channel_ = nullptr;  // freed with the session
  ssh_channel_callbacks_struct callbacks_{};
  ssh_counter_struct counter_{};
  int fd_ = -1;
  Step step_ = Step::kConnect;
  bool options_refused_ = false;
  bool sftp_asked_ = false;
  bool pinging_ = false;
};

}  // namespace dw
