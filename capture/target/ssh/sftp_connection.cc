#include "capture/target/ssh/sftp_connection.h"

#include <algorithm>
#include <cstring>

#include "capture/base/clock.h"

namespace dw {

namespace {

constexpr uint64_t kNsPerUs = 1000;

Error no_sftp(const SshLogin& login) {
  return Error(ErrorKind::kIo, "what the server answers is no valid SFTP")
      .on(display_of(login.address))
      .hint("a start-up file of the user's shell that prints something does this");
}

}  // namespace

SftpConnection::SftpConnection(const SshLogin& login, Buffer queue)
    : login_(&login), queue_(std::move(queue)) {}

Result<std::unique_ptr<SftpConnection>> SftpConnection::create(Fd socket, const SshLogin& login) {
  DW_ASSIGN(Buffer queue, Buffer::allocate(kQueueBytes));
  std::unique_ptr<SftpConnection> connection(new SftpConnection(login, std::move(queue)));
  DW_ASSIGN(connection->session_, SshSession::create(std::move(socket), login, *connection));
  return connection;
}

Status SftpConnection::work() {
  DW_TRY(session_->work());
  if (broken_.has_value()) return *broken_;
  if (session_->bytes_received() != received_bytes_) {
    received_bytes_ = session_->bytes_received();
    received_ms_ = monotonic_ms();
  }
  if (step_ == Step::kSession && session_->may_write()) DW_TRY(start_sftp());
  close_handles();
  return send_queued();
}

Status SftpConnection::start_sftp() {
  enqueue(SftpMessage(SftpType::kInit).take(kSftpVersion), {});
  step_ = Step::kVersion;
  heard_ms_ = received_ms_ = monotonic_ms();
  return {};
}

// While the socket takes all of it at once there is no reason to wait for an event.
Status SftpConnection::send_queued() {
  while (session_->may_write() && queue_begin_ < queue_end_) {
    Bytes queued = queue_.bytes().subspan(queue_begin_, queue_end_ - queue_begin_);
    DW_ASSIGN(size_t n, session_->write(queued));
    if (broken_.has_value()) return *broken_;
    if (n == 0) break;
    queue_begin_ += n;
  }
  if (queue_begin_ == queue_end_) queue_begin_ = queue_end_ = 0;
  return {};
}

bool SftpConnection::has_room(size_t bytes) const {
  return bytes <= queue_.size() - (queue_end_ - queue_begin_) &&
         !pending_[next_id_ % kMostRequests].used;
}

void SftpConnection::enqueue(std::string_view request, Bytes payload) {
  if (request.size() + payload.size() > queue_.size() - queue_end_) {
    std::memmove(queue_.data(), queue_.data() + queue_begin_, queue_end_ - queue_begin_);
    queue_end_ -= queue_begin_;
    queue_begin_ = 0;
  }
  DW_CHECK(request.size() + payload.size() <= queue_.size() - queue_end_);
  std::memcpy(queue_.data() + queue_end_, request.data(), request.size());
  queue_end_ += request.size();
  if (!payload.empty()) std::memcpy(queue_.data() + queue_end_, payload.data(), payload.size());
  queue_end_ += payload.size();
}

void SftpConnection::send(std::string_view request, Bytes payload, SftpWaiter& waiter,
                          uint32_t tag) {
  Pending& pending = pending_[next_id_ % kMostRequests];
  DW_CHECK(!pending.used);
  enqueue(request, payload);
  pending = {.used = true, .id = next_id_, .tag = tag, .waiter = &waiter};
  if (unanswered_++ == 0) {
    heard_ms_ = monotonic_ms();
    timed_since_ns_ = monotonic_ns();
    timed_id_ = next_id_;
  }
  ++next_id_;
}

void SftpConnection::take(Bytes bytes) {
  while (!bytes.empty() && !broken_.has_value()) {
    Result<bool> whole = assembler_.take(bytes);
    if (!whole.ok()) {
      broken_ = no_sftp(*login_);
      return;
    }
    if (!*whole) return;
    if (Status taken = take_message(assembler_.message()); !taken.ok()) broken_ = taken.error();
  }
}

Status SftpConnection::take_message(Bytes message) {
  heard_ms_ = monotonic_ms();
  ++messages_;
  if (step_ != Step::kVersion) return take_answer(message);
  Result<SftpAbilities> abilities = parse_sftp_version(message);
  if (!abilities.ok()) return no_sftp(*login_);
  abilities_ = *abilities;
  step_ = Step::kReady;
  if (!abilities_.limits) return {};
  // What every server takes is enough until it is answered.
  enqueue(SftpMessage(SftpType::kExtended).text("limits@openssh.com").take(next_id_), {});
  pending_[next_id_ % kMostRequests] = {.used = true, .id = next_id_};
  limits_id_ = next_id_++;
  return {};
}

Status SftpConnection::take_answer(Bytes message) {
  Result<SftpReply> reply = parse_sftp_reply(message);
  if (!reply.ok()) return no_sftp(*login_);
  Pending& pending = pending_[reply->id % kMostRequests];
  if (!pending.used || pending.id != reply->id) return no_sftp(*login_);
  Pending asked = std::exchange(pending, {});
  if (asked.id == limits_id_ && asked.waiter == nullptr) return take_limits(*reply);
  --unanswered_;
  note_time(asked.id);
  deliver(asked, *reply);
  return {};
}

void SftpConnection::deliver(const Pending& pending, const SftpReply& reply) {
  if (pending.waiter != nullptr) {
    pending.waiter->answered(pending.tag, reply);
  } else if (reply.type == SftpType::kHandle) {
    close_handle(std::string(reinterpret_cast<const char*>(reply.data.data()), reply.data.size()));
  }
}

Status SftpConnection::take_limits(const SftpReply& reply) {
  limits_id_.reset();
  if (reply.type != SftpType::kExtendedReply) return {};
  Result<SftpLimits> limits = parse_sftp_limits(reply.data);
  if (!limits.ok()) return no_sftp(*login_);
  // A server that takes less than every server does is not believed.
  write_piece_ = std::clamp<uint64_t>(limits->write, kDefaultPiece, kMostPiece);
  read_piece_ = std::clamp<uint64_t>(limits->read, kDefaultPiece, kReadPiece);
  return {};
}

void SftpConnection::note_time(uint32_t id) {
  if (id != timed_id_ || timed_since_ns_ == 0) return;
  uint64_t us = (monotonic_ns() - timed_since_ns_) / kNsPerUs;
  round_trip_us_ = static_cast<uint32_t>(std::min<uint64_t>(us, round_trip_us_));
  timed_since_ns_ = 0;
}

void SftpConnection::close_handle(std::string handle) { to_close_.push_back(std::move(handle)); }

void SftpConnection::close_handles() {
  while (!to_close_.empty()) {
    std::string request = SftpMessage(SftpType::kClose).text(to_close_.back()).take(next_id_);
    if (!has_room(request.size())) return;
    enqueue(request, {});
    pending_[next_id_ % kMostRequests] = {.used = true, .id = next_id_};
    ++next_id_;
    ++unanswered_;
    to_close_.pop_back();
  }
}

void SftpConnection::forget(const SftpWaiter& waiter) {
  for (Pending& pending : pending_) {
    if (pending.waiter == &waiter) pending.waiter = nullptr;
  }
}

size_t SftpConnection::open_window() const {
  size_t queued = queue_end_ - queue_begin_;
  size_t window = session_->window();
  return queued < window ? window - queued : 0;
}

bool SftpConnection::starved() const {
  return queue_begin_ < queue_end_ && session_->window() == 0 && !session_->congested();
}

Status SftpConnection::ping() {
  ping_ms_ = monotonic_ms();
  return session_->ping();
}

std::optional<uint64_t> SftpConnection::pinging_since_ms() const {
  return session_->alive() ? std::nullopt : std::optional(ping_ms_);
}

}  // namespace dw
