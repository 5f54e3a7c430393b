#include "capture/target/nfs/rpc_connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "capture/target/server/tcp_connect.h"

namespace dw {

namespace {

constexpr size_t kMaxHead = 4096;
// An index of a call is that of its slot; the bits above are different for each use.
constexpr uint32_t kSlotBits = 9;
static_assert(RpcConnection::kMaxCalls <= 1U << kSlotBits);
constexpr uint32_t kLastFragment = 0x80000000;
constexpr size_t kMaxVerifier = 400;

uint32_t big_endian(uint32_t value) { return __builtin_bswap32(value); }

size_t padding_of(uint32_t size) { return (4 - size % 4) % 4; }

Error denied(XdrReader& reply) {
  constexpr uint32_t kAuthError = 1;
  if (reply.u32() == kAuthError)
    return Error::from_errno("the server does not accept who we say we are", EACCES)
        .hint("it must allow sec=sys, and perhaps wants a port below 1024 (run as root)");
  return {ErrorKind::kUnsupported, "the server speaks another version of RPC"};
}

Error not_done(uint32_t status) {
  switch (status) {
    case PROG_UNAVAIL:
      return Error(ErrorKind::kUnsupported, "the server does not speak NFS there")
          .hint("look at the port");
    case PROG_MISMATCH:
      return Error(ErrorKind::kUnsupported, "the server does not speak this version of NFS")
          .hint("try the other: version=3 or version=4");
    case PROC_UNAVAIL:
      return {ErrorKind::kUnsupported, "the server lacks a procedure of NFS that is needed"};
    case SYSTEM_ERR:
      return {ErrorKind::kIo, "the server has an error of its own"};
    default:
      return {ErrorKind::kIo, "the server did not understand a call"};
  }
}

// What is left of a reply behind the header of RPC: the results.
Result<XdrReader> results_of(XdrReader reply) {
  if (reply.u32() != MSG_ACCEPTED) return denied(reply);
  reply.u32();
  reply.opaque(kMaxVerifier);
  uint32_t status = reply.u32();
  if (!reply.ok()) return Error(ErrorKind::kIo, "a reply of the server is too short");
  if (status != SUCCESS) return not_done(status);
  return reply;
}

}  // namespace

void RpcAnswer::on_reply(uint64_t /*tag*/, Result<XdrReader> results) {
  if (results.ok()) {
    Bytes all = results->fixed(results->left() / 4 * 4);
    bytes.assign(all.begin(), all.end());
  } else {
    error = results.error();
  }
  done = true;
}

Result<std::unique_ptr<RpcConnection>> RpcConnection::connect(const RpcPeer& peer,
                                                              const ServerTimes& times,
                                                              size_t most_data) {
  uint64_t start_ms = monotonic_ms();
  DW_ASSIGN(std::vector<Endpoint> endpoints, resolve(peer.host, peer.port, times.connect_ms));
  uint64_t used_ms = std::min<uint64_t>(monotonic_ms() - start_ms, times.connect_ms);
  auto left_ms = static_cast<uint32_t>(times.connect_ms - used_ms);
  auto connected = connect_to(endpoints, left_ms, times, SourcePort::kPrivileged);
  if (!connected.ok()) {
    Error error = connected.error();
    return error.on(peer.display).hint("is the server running, and its port right?");
  }
  auto* connection = new RpcConnection(std::move(connected->fd), peer, times, most_data);
  return std::unique_ptr<RpcConnection>(connection);
}

RpcConnection::RpcConnection(Fd socket, const RpcPeer& peer, const ServerTimes& times,
                             size_t most_data)
    : socket_(std::move(socket)),
      times_(times),
      display_(peer.display),
      credentials_(libnfs_authunix_create("dumpwright", peer.uid, peer.gid, 0, nullptr)),
      calls_(kMaxCalls),
      // Of no other connection of the last minutes: a server may answer a call that it has seen
      // with the reply that it gave then.
      generation_(static_cast<uint32_t>(monotonic_ns() >> 10)),
      record_(most_data + kReplyOverhead) {}

RpcConnection::~RpcConnection() { libnfs_auth_destroy(credentials_); }

Status RpcConnection::state() const {
  if (failure_) return *failure_;
  return {};
}

void RpcConnection::give_up(const Error& error) {
  if (failure_) return;
  failure_ = error;
  failure_->on(display_);
  static_cast<void>(socket_.close());
}

Error RpcConnection::lost(const char* what, int errno_value) {
  Error error(ErrorKind::kLost, what);
  if (errno_value != 0) error.because(errno_value);
  return fail(error);
}

Status RpcConnection::encode(Call& call, const RpcProcedure& procedure,
                             const RpcArguments& arguments) {
  // Most of it stays unused: a call keeps only what it needs.
  std::array<std::byte, kMaxHead> scratch;
  rpc_msg message{};
  message.xid = call.xid;
  message.direction = CALL;
  message.body.cbody.rpcvers = RPC_MSG_VERSION;
  message.body.cbody.prog = procedure.program;
  message.body.cbody.vers = procedure.version;
  message.body.cbody.proc = procedure.number;
  message.body.cbody.cred = credentials_->ah_cred;
  message.body.cbody.verf = credentials_->ah_verf;
  ZDR zdr;
  // Behind what it may fill there is room, because libnfs looks for it only now and then.
  libnfs_zdrmem_create(&zdr, reinterpret_cast<char*>(scratch.data()), kMaxHead / 2, ZDR_ENCODE);
  libnfs_zdr_setpos(&zdr, 4);
  bool ok = libnfs_zdr_callmsg(nullptr, &zdr, &message) != 0 &&
            (arguments.encode == nullptr || arguments.encode(&zdr, arguments.arguments));
  size_t size = libnfs_zdr_getpos(&zdr);
  libnfs_zdr_destroy(&zdr);
  if (!ok || size > kMaxHead / 2)
    return Error::from_errno("the path is too long for a call of NFS", ENAMETOOLONG).on(display_);
  call.head.assign(scratch.begin(), scratch.begin() + static_cast<ptrdiff_t>(size));
  return {};
}

Status RpcConnection::submit(const RpcProcedure& procedure, const RpcArguments& arguments,
                             const RpcPayload& payload, RpcReceiver& receiver, uint64_t tag,
                             Kind kind) {
  DW_TRY(state());
  auto free =
      std::find_if(calls_.begin(), calls_.end(), [](const Call& call) { return !call.used; });
  DW_CHECK(free != calls_.end());
  auto slot = static_cast<uint32_t>(free - calls_.begin());
  Call& call = *free;
  call.xid = generation_++ << kSlotBits | slot;
  DW_TRY(encode(call, procedure, arguments));
  call.payload = payload;
  if (payload.bytes > 0)
    store(MutableBytes(call.head), call.head.size() - 4, big_endian(payload.bytes));
  call.total = call.head.size() + payload.bytes + padding_of(payload.bytes);
  store(MutableBytes(call.head), 0,
        big_endian(static_cast<uint32_t>(call.total - 4) | kLastFragment));
  call.used = true;
  call.kind = kind;
  call.sent = 0;
  call.receiver = &receiver;
  call.tag = tag;
  count(call, 1);
  to_send_.push_back(slot);
  return {};
}

void RpcConnection::count(const Call& call, int one) {
  in_use_ += one;
  if (call.kind != Kind::kAside) due_ += one;
  if (call.kind == Kind::kSlow) slow_ += one;
}

void RpcConnection::release(Call& call) {
  call.used = false;
  count(call, -1);
}

Result<XdrReader> RpcConnection::call(const RpcProcedure& procedure,
                                      const RpcArguments& arguments) {
  RpcAnswer answer;
  DW_TRY(wait([&] { return has_room(); }));
  DW_TRY(submit(procedure, arguments, {}, answer, 0));
  DW_TRY(wait([&] { return answer.done; }));
  if (answer.error) return answer.error->on(display_);
  answer_ = std::move(answer.bytes);
  return XdrReader(answer_);
}

Status RpcConnection::move_on() {
  DW_TRY(state());
  DW_TRY(send_all());
  return receive_all();
}

uint32_t RpcConnection::limit_ms() const {
  if (limit_ms_ != 0) return limit_ms_;
  return slow_ > 0 ? std::max(times_.sync_ms, times_.reply_ms) : times_.reply_ms;
}

Status RpcConnection::step(uint64_t since_ms, uint32_t pause_ms) {
  DW_TRY(send_all());
  size_t before = in_use_;
  DW_TRY(receive_all());
  // Whoever waits may have what he waits for. A call that took the place of another is his too.
  if (in_use_ != before || replied_) {
    replied_ = false;
    return {};
  }
  uint64_t now_ms = monotonic_ms();
  uint64_t end_ms = std::max(since_ms, last_reply_ms_) + limit_ms();
  if (due_ > 0 && now_ms >= end_ms)
    return fail(Error(ErrorKind::kTimeout, "the server did not answer in time"));
  uint64_t wait_ms = pause_ms;
  if (due_ > 0) wait_ms = std::min<uint64_t>(wait_ms, end_ms - now_ms);
  auto events = static_cast<short>(POLLIN | (to_send_.empty() ? 0 : POLLOUT));
  pollfd waiting = {socket_.get(), events, 0};
  if (::poll(&waiting, 1, static_cast<int>(wait_ms)) < 0 && errno != EINTR)
    return lost("cannot wait for the server", errno);
  return {};
}

Status RpcConnection::send_all() {
  while (!to_send_.empty()) {
    DW_ASSIGN(bool all, send_some(calls_[to_send_.front()]));
    if (!all) return {};
    to_send_.pop_front();
  }
  return {};
}

Result<bool> RpcConnection::send_some(Call& call) {
  static constexpr std::byte kPadding[4] = {};
  std::array<iovec, RpcPayload::kMaxPieces + 2> pieces;
  while (call.sent < call.total) {
    size_t count = 0;
    size_t skip = call.sent;
    auto add = [&](const void* data, size_t size) {
      size_t skipped = std::min(skip, size);
      skip -= skipped;
      if (size > skipped)
        pieces[count++] = {static_cast<std::byte*>(const_cast<void*>(data)) + skipped,
                           size - skipped};
    };
    add(call.head.data(), call.head.size());
    for (size_t i = 0; i < call.payload.piece_count; i++)
      add(call.payload.pieces[i].iov_base, call.payload.pieces[i].iov_len);
    add(kPadding, padding_of(call.payload.bytes));
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);  // int, with musl
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (n < 0) return lost("the connection to the server broke", errno);
    call.sent += static_cast<size_t>(n);
  }
  return true;
}

Status RpcConnection::receive_all() {
  // A server that floods us must not keep us from looking at the clock.
  constexpr unsigned kMostAtOnce = 1024;
  // Once also if nothing is due: that is how a connection that ended shows.
  unsigned received = 0;
  do {
    DW_ASSIGN(bool more, receive_more());
    if (!more) return {};
  } while (in_use_ > 0 && ++received < kMostAtOnce);
  return {};
}

Result<size_t> RpcConnection::receive(MutableBytes into) {
  while (true) {
    ssize_t n = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (n > 0) return static_cast<size_t>(n);
    if (n == 0) return lost("the server closed the connection", 0);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
    if (errno != EINTR) return lost("the connection to the server broke", errno);
  }
}

// False if there is nothing to receive now.
Result<bool> RpcConnection::receive_more() {
  if (header_size_ < header_.size()) {
    DW_ASSIGN(size_t n, receive(MutableBytes(header_).subspan(header_size_)));
    header_size_ += n;
    if (header_size_ == header_.size()) DW_TRY(take_fragment_header());
    return n > 0;
  }
  DW_ASSIGN(size_t n, receive(MutableBytes(record_).subspan(record_size_, fragment_left_)));
  record_size_ += n;
  fragment_left_ -= n;
  if (fragment_left_ == 0) DW_TRY(take_record());
  return n > 0;
}

Status RpcConnection::take_fragment_header() {
  uint32_t word = big_endian(load<uint32_t>(header_, 0));
  last_fragment_ = (word & kLastFragment) != 0;
  fragment_left_ = word & ~kLastFragment;
  if (fragment_left_ == 0 || fragment_left_ > record_.size() - record_size_)
    return lost("the server sent a reply of a length that cannot be", 0);
  return {};
}

// At the end of a fragment, which need not be that of the record.
Status RpcConnection::take_record() {
  constexpr uint32_t kSlotMask = (1U << kSlotBits) - 1;
  header_size_ = 0;
  if (!last_fragment_) return {};
  XdrReader reply(Bytes(record_).first(record_size_ / 4 * 4));
  record_size_ = 0;
  uint32_t xid = reply.u32();
  // A call of the server's own, such as for NFSv4's callbacks: we offered it none.
  if (reply.u32() != REPLY || !reply.ok()) return {};
  uint32_t slot = xid & kSlotMask;
  if (slot >= calls_.size() || !calls_[slot].used || calls_[slot].xid != xid ||
      calls_[slot].sent < calls_[slot].total)
    return lost("the server answered a call that was not made", 0);
  Call& call = calls_[slot];
  if (call.kind != Kind::kAside) last_reply_ms_ = monotonic_ms();
  replied_ = true;
  release(call);
  call.receiver->on_reply(call.tag, results_of(reply));
  return state();
}

}  // namespace dw
