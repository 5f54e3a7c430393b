#include "capture/target/ssh/ssh_session.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "capture/target/ssh/host_key.h"
#include "capture/target/ssh/ssh_key.h"

namespace dw {

namespace {

constexpr char kCiphers[] =
    "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com";
constexpr char kKeyExchanges[] =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
    "ecdh-sha2-nistp521,diffie-hellman-group18-sha512,diffie-hellman-group16-sha512";
constexpr char kKeyTypes[] =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,"
    "rsa-sha2-256";
// Those ciphers need none, but the negotiation does.
constexpr char kMacs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com";
// libssh reads 4 KiB at a time.
constexpr int kMostReads = 64;

// libssh expands percent signs in paths.
std::string escaped(const std::string& path) {
  std::string text;
  for (char c : path) text += c == '%' ? std::string("%%") : std::string(1, c);
  return text;
}

}  // namespace

std::string display_of(const SshAddress& address) {
  bool is_v6 = address.host.find(':') != std::string::npos;
  std::string text = "ssh://" + address.user + "@";
  text += is_v6 ? "[" + address.host + "]" : address.host;
  if (address.port != 22) text += ":" + std::to_string(address.port);
  return text + (address.directory.starts_with('/') ? "" : "/") + address.directory;
}

SshSession::SshSession(const SshLogin& login, ByteSink& sink) : login_(&login), sink_(&sink) {}

Result<std::unique_ptr<SshSession>> SshSession::create(Fd socket, const SshLogin& login,
                                                       ByteSink& sink) {
  std::unique_ptr<SshSession> session(new SshSession(login, sink));
  session->session_ = ::ssh_new();
  if (session->session_ == nullptr) return Error(ErrorKind::kNoMemory, "cannot start libssh");
  DW_TRY(session->configure());
  // From here on libssh closes it.
  session->fd_ = socket.release();
  ::ssh_options_set(session->session_, SSH_OPTIONS_FD, &session->fd_);
  return session;
}

// ssh_disconnect() would leave a socket that it was given open.
SshSession::~SshSession() {
  if (session_ != nullptr) ::ssh_free(session_);
}

void SshSession::set_option(ssh_options_e option, const void* value) {
  if (::ssh_options_set(session_, option, value) != SSH_OK) options_refused_ = true;
}

// Nothing is left to a default that could come from a file.
Status SshSession::configure() {
  const SshAddress& address = login_->address;
  bool no = false;
  int off = 0;
  unsigned port = address.port;
  std::string known_hosts = escaped(login_->options.known_hosts_file);
  set_option(SSH_OPTIONS_PROCESS_CONFIG, &no);
  set_option(SSH_OPTIONS_LOG_VERBOSITY, &off);
  set_option(SSH_OPTIONS_SSH_DIR, "/nonexistent");
  set_option(SSH_OPTIONS_HOST, address.host.c_str());
  set_option(SSH_OPTIONS_PORT, &port);
  set_option(SSH_OPTIONS_USER, address.user.c_str());
  set_option(SSH_OPTIONS_KNOWNHOSTS, known_hosts.c_str());
  set_option(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  set_option(SSH_OPTIONS_CIPHERS_C_S, kCiphers);
  set_option(SSH_OPTIONS_CIPHERS_S_C, kCiphers);
  set_option(SSH_OPTIONS_HMAC_C_S, kMacs);
  set_option(SSH_OPTIONS_HMAC_S_C, kMacs);
  set_option(SSH_OPTIONS_KEY_EXCHANGE, kKeyExchanges);
  set_option(SSH_OPTIONS_HOSTKEYS, kKeyTypes);
  set_option(SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, kKeyTypes);
  set_option(SSH_OPTIONS_COMPRESSION, "no");
  ::ssh_set_counters(session_, &counter_, nullptr);
  ::ssh_set_blocking(session_, 0);
  if (options_refused_) return failed(ErrorKind::kUsage, "libssh does not take this address");
  return {};
}

Error SshSession::failed(ErrorKind kind, const char* what) const {
  std::string subject = display_of(login_->address);
  const char* words = ::ssh_get_error(session_);
  if (words != nullptr && *words != '\0') subject += " (" + std::string(words) + ")";
  return Error(kind, what).on(subject);
}

Status SshSession::work() {
  while (step_ != Step::kRunning) {
    DW_ASSIGN(bool done, take_step());
    // libssh makes it a blocking one when it is connected.
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    if (!done) return {};
    step_ = static_cast<Step>(static_cast<uint8_t>(step_) + 1);
  }
  return receive_and_send();
}

Result<bool> SshSession::take_step() {
  switch (step_) {
    case Step::kConnect:
      return connect();
    case Step::kAuthenticate:
      return authenticate();
    case Step::kOpenChannel:
      return open_channel();
    default:
      return start_sftp();
  }
}

Result<bool> SshSession::connect() {
  int code = ::ssh_connect(session_);
  if (code == SSH_AGAIN) return false;
  if (code != SSH_OK) return not_connected();
  DW_TRY(check_host_key(session_, login_->address));
  return true;
}

Error SshSession::not_connected() const {
  // libssh has no code for it.
  const char* words = ::ssh_get_error(session_);
  if (words != nullptr && std::strstr(words, "no match for method") != nullptr)
    return failed(ErrorKind::kIo, "the server has none of the ciphers that are allowed here");
  return failed(ErrorKind::kLost, "the SSH connection was not made");
}

Result<bool> SshSession::authenticate() {
  switch (::ssh_userauth_publickey(session_, nullptr, login_->key)) {
    case SSH_AUTH_SUCCESS:
      return true;
    case SSH_AUTH_AGAIN:
      return false;
    case SSH_AUTH_DENIED:
    case SSH_AUTH_PARTIAL:
      return Error(ErrorKind::kIo, "the server does not let this user in with this key")
          .on(display_of(login_->address) + " (key " + fingerprint_of(login_->key) + ")")
          .hint("add the public key to the user's authorized_keys on the server");
    default:
      return failed(ErrorKind::kLost, "the connection broke during the login");
  }
}

Result<bool> SshSession::open_channel() {
  if (channel_ == nullptr) channel_ = ::ssh_channel_new(session_);
  if (channel_ == nullptr) return Error(ErrorKind::kNoMemory, "cannot start libssh");
  int code = ::ssh_channel_open_session(channel_);
  if (code == SSH_AGAIN) return false;
  if (code == SSH_OK) {
    DW_TRY(set_callbacks());
    return true;
  }
  if (::ssh_get_error_code(session_) == SSH_REQUEST_DENIED)
    return failed(ErrorKind::kIo, "the server refuses a session");
  return failed(ErrorKind::kLost, "the connection broke during the login");
}

Status SshSession::set_callbacks() {
  callbacks_.userdata = this;
  callbacks_.channel_data_function = on_data;
  ssh_callbacks_init(&callbacks_);
  if (::ssh_set_channel_callbacks(channel_, &callbacks_) != SSH_OK)
    return Error(ErrorKind::kNoMemory, "cannot start libssh");
  return {};
}

Result<bool> SshSession::start_sftp() {
  int code = ::ssh_channel_request_subsystem(channel_, "sftp");
  sftp_asked_ = code == SSH_OK || code == SSH_AGAIN;
  if (code == SSH_OK) return true;
  if (code == SSH_AGAIN) return false;
  if (::ssh_get_error_code(session_) == SSH_REQUEST_DENIED)
    return failed(ErrorKind::kIo, "the server has no SFTP")
        .hint("its sshd_config needs a line: Subsystem sftp internal-sftp");
  return failed(ErrorKind::kLost, "the connection broke during the login");
}

// Everything is taken, so libssh keeps nothing of it. What comes on stderr is no SFTP.
int SshSession::on_data(ssh_session, ssh_channel, void* data, uint32_t length, int is_stderr,
                        void* self) {
  auto* session = static_cast<SshSession*>(self);
  if (is_stderr == 0) session->sink_->take({static_cast<const std::byte*>(data), length});
  return static_cast<int>(length);
}

Status SshSession::receive_and_send() {
  for (int i = 0; i < kMostReads; ++i) {
    uint64_t before = counter_.in_bytes;
    int code = ::ssh_channel_poll(channel_, 0);
    if (code == SSH_ERROR || code == SSH_EOF || ::ssh_channel_is_open(channel_) == 0)
      return failed(ErrorKind::kLost, "the connection broke");
    if (counter_.in_bytes == before) break;
  }
  if (pinging_) DW_TRY(ping());
  return {};
}

bool SshSession::congested() const { return (::ssh_get_status(session_) & SSH_WRITE_PENDING) != 0; }

size_t SshSession::window() const { return ::ssh_channel_window_size(channel_); }

Result<size_t> SshSession::write(Bytes bytes) {
  if (congested()) return size_t{0};
  size_t most = std::min({bytes.size(), window(), kMostAtOnce});
  if (most == 0) return size_t{0};
  int n = ::ssh_channel_write(channel_, bytes.data(), static_cast<uint32_t>(most));
  if (n < 0) return failed(ErrorKind::kLost, "the connection broke");
  return static_cast<size_t>(n);
}

// A request that every server answers, be it with a refusal; what it asks for we want anyway.
Status SshSession::ping() {
  pinging_ = ::ssh_request_no_more_sessions(session_) == SSH_AGAIN;
  if ((::ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0)
    return failed(ErrorKind::kLost, "the connection broke");
  return {};
}

short SshSession::events() const {
  bool out = congested() || (::ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0;
  return static_cast<short>(POLLIN | (out ? POLLOUT : 0));
}

}  // namespace dw
