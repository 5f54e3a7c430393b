#include "capture/target/ssh/sftp_pool.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "capture/base/clock.h"
#include "capture/target/ssh/host_key.h"

namespace dw {

namespace {

// What takes longer than this is on its way, and not at work; one connection may fill it or not.
constexpr uint32_t kLongWayUs = 3000;
// One connection fills no fast link of this length: 2 MiB, an OpenSSH server's window, make
// 200 MiB/s.
constexpr uint32_t kTooLongUs = 10'000;
constexpr uint64_t kLongestPollMs = 1000;

class Answers final : public SftpWaiter {
 public:
  Answers(SftpPool& pool, size_t count) : pool_(&pool), answers_(count), open_(count) {}
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;
  ~Answers() {
    if (open_ > 0) pool_->forget(*this);
  }

  void answered(uint32_t tag, const SftpReply& reply) override {
    answers_[tag] = {.type = reply.type,
                     .status = reply.status,
                     .data = {reinterpret_cast<const char*>(reply.data.data()), reply.data.size()},
                     .attributes = reply.attributes};
    --open_;
  }
  [[nodiscard]] bool complete() const { return open_ == 0; }
  [[nodiscard]] std::vector<SftpAnswer> take() { return std::move(answers_); }

 private:
  SftpPool* pool_;
  std::vector<SftpAnswer> answers_;
  size_t open_;  // without an answer
};

}  // namespace

SftpPool::Patience::Patience() : since_ms_(monotonic_ms()) {}

SftpPool::SftpPool(const SshAddress& address, const SshOptions& options, const ServerTimes& times)
    : login_{.address = address, .options = options}, times_(times) {
  links_.resize(std::clamp(options.connections, 1U, kMostConnections));
}

Result<std::unique_ptr<SftpPool>> SftpPool::open(const SshAddress& address,
                                                 const SshOptions& options,
                                                 const ServerTimes& times) {
  DW_TRY(prepare_libssh());
  DW_TRY(check_known_hosts_file(options.known_hosts_file));
  std::unique_ptr<SftpPool> pool(new SftpPool(address, options, times));
  DW_ASSIGN(pool->key_, load_private_key(options.key_file));
  pool->login_.key = pool->key_.get();
  DW_TRY(pool->open_first());
  return pool;
}

Status SftpPool::open_first() {
  uint64_t end_ms = monotonic_ms() + times_.connect_ms;
  DW_ASSIGN(auto endpoints, resolve(login_.address.host, login_.address.port, times_.connect_ms));
  uint64_t now_ms = monotonic_ms();
  uint32_t left_ms = now_ms < end_ms ? static_cast<uint32_t>(end_ms - now_ms) : 0;
  Result<Connection> connection = connect_to(endpoints, left_ms, times_);
  if (!connection.ok()) {
    Error error = connection.error();
    return error.on(display_of(login_.address))
        .hint("check the address, the network and that sshd runs there");
  }
  endpoint_ = connection->endpoint;
  DW_ASSIGN(links_[0], start(std::move(connection->fd)));
  Patience patience;
  while (!links_[0].ready) DW_TRY(wait(patience));
  return {};
}

Result<SftpPool::Link> SftpPool::start(Fd socket) {
  Link link;
  link.deadline_ms = monotonic_ms() + times_.connect_ms;
  DW_ASSIGN(link.connection, SftpConnection::create(std::move(socket), login_));
  return link;
}

Status SftpPool::state() const {
  if (broken_.has_value()) return *broken_;
  return {};
}

Error SftpPool::broke(const Error& error) {
  broken_ = error;
  return error;
}

Status SftpPool::work() {
  DW_TRY(state());
  for (Link& link : links_) {
    if (link.connection != nullptr) DW_TRY(work_on(link, &link == links_.data()));
  }
  return {};
}

Status SftpPool::work_on(Link& link, bool is_first) {
  Status done = link.connection->work();
  if (done.ok()) {
    link.ready = link.connection->ready();
    return {};
  }
  if (is_first || link.ready) return broke(done.error());
  link.connection.reset();
  return {};
}

Status SftpPool::wait(const Patience& patience) {
  uint64_t before = messages();
  DW_TRY(work());
  // The answer may be among them, and then nothing else comes.
  if (messages() != before) return {};
  std::array<pollfd, kMostConnections> waiting{};
  nfds_t count = 0;
  for (const Link& link : links_) {
    if (link.connection == nullptr) continue;
    waiting[count++] = {
        .fd = link.connection->fd(), .events = link.connection->events(), .revents = 0};
  }
  uint64_t now_ms = monotonic_ms();
  ::poll(waiting.data(), count, static_cast<int>(next_look_ms(patience, now_ms)));
  DW_TRY(work());
  return check_limits(patience);
}

uint64_t SftpPool::messages() const {
  uint64_t sum = 0;
  for (const Link& link : links_)
    sum += link.connection != nullptr ? link.connection->messages() : 0;
  return sum;
}

uint64_t SftpPool::answer_limit_ms() const {
  return syncs_ > 0 ? std::max(times_.sync_ms, times_.reply_ms) : times_.reply_ms;
}

// Milliseconds until some limit may be over.
uint64_t SftpPool::next_look_ms(const Patience& patience, uint64_t now_ms) const {
  uint64_t next_ms = now_ms + std::min<uint64_t>(kLongestPollMs, times_.keepalive_ms);
  for (const Link& link : links_) {
    if (link.connection == nullptr) continue;
    uint64_t heard_ms = std::max(link.connection->heard_ms(), patience.since_ms());
    next_ms = std::min(next_ms, link.ready ? heard_ms + answer_limit_ms() : link.deadline_ms);
  }
  return next_ms > now_ms ? next_ms - now_ms : 0;
}

Status SftpPool::check_limits(const Patience& patience) {
  uint64_t now_ms = monotonic_ms();
  for (Link& link : links_) {
    if (link.connection == nullptr) continue;
    if (link.ready) {
      DW_TRY(check_ready(link, patience.since_ms(), now_ms));
    } else if (now_ms >= link.deadline_ms) {
      if (&link == links_.data())
        return broke(Error(ErrorKind::kTimeout, "the login took too long")
                         .on(display_of(login_.address))
                         .hint("does an SSH server answer there?"));
      link.connection.reset();
    }
  }
  return {};
}

Status SftpPool::check_ready(Link& link, uint64_t since_ms, uint64_t now_ms) {
  SftpConnection& connection = *link.connection;
  if (connection.unanswered() == 0) return {};
  auto waited_ms = [&](uint64_t from_ms) { return now_ms - std::max(from_ms, since_ms); };
  std::optional<uint64_t> pinging = connection.pinging_since_ms();
  bool silent = waited_ms(connection.heard_ms()) >= answer_limit_ms();
  if (silent || (pinging.has_value() && waited_ms(*pinging) >= times_.reply_ms))
    return broke(Error(ErrorKind::kTimeout, "the server does not answer any more")
                     .on(display_of(login_.address)));
  if (pinging.has_value() || waited_ms(connection.received_ms()) < times_.keepalive_ms) return {};
  Status pinged = connection.ping();
  return pinged.ok() ? pinged : broke(pinged.error());
}

Result<SftpAnswer> SftpPool::call(SftpMessage message) {
  DW_ASSIGN(std::vector<SftpAnswer> answers, call_all({std::move(message)}));
  return std::move(answers.front());
}

Result<std::vector<SftpAnswer>> SftpPool::call_all(std::vector<SftpMessage> messages) {
  DW_TRY(state());
  Patience patience;
  Answers waiter(*this, messages.size());
  for (uint32_t i = 0; i < messages.size(); ++i) {
    while (!first().has_room(messages[i].size())) DW_TRY(wait(patience));
    first().send(messages[i].take(first().next_id()), {}, waiter, i);
  }
  DW_TRY(work());
  while (!waiter.complete()) DW_TRY(wait(patience));
  return waiter.take();
}

void SftpPool::grow_if_slow() {
  if (grown_ || first().round_trip_us() == SftpConnection::kUnknown) return;
  uint32_t us = first().round_trip_us();
  if (us >= kTooLongUs || (us >= kLongWayUs && first().starved())) grow();
}

void SftpPool::grow() {
  grown_ = true;
  for (size_t i = 1; i < links_.size(); ++i) {
    Result<Fd> socket = begin_connect(endpoint_, times_);
    if (!socket.ok()) return;
    Result<Link> link = start(std::move(*socket));
    if (!link.ok()) return;
    links_[i] = std::move(*link);
  }
}

SftpConnection* SftpPool::at(size_t slot) const {
  return links_[slot].ready ? links_[slot].connection.get() : nullptr;
}

size_t SftpPool::ready_count() const {
  return static_cast<size_t>(
      std::count_if(links_.begin(), links_.end(), [](const Link& link) { return link.ready; }));
}

void SftpPool::forget(const SftpWaiter& waiter) {
  for (Link& link : links_) {
    if (link.connection != nullptr) link.connection->forget(waiter);
  }
}

size_t SftpPool::memory_bytes() const { return links_.size() * SftpConnection::memory_bytes(); }

}  // namespace dw
