#include "capture/target/nfs/nfs_traffic.h"

#include <algorithm>
#include <cstring>

#include "capture/target/nfs/nfs_status.h"

namespace dw {

Result<std::unique_ptr<NfsTraffic>> NfsTraffic::create(NfsProtocol& protocol, size_t blocks) {
  DW_CHECK(blocks >= kFewBlocks && blocks <= kBlocks);
  DW_ASSIGN(Buffer memory, Buffer::allocate(blocks * kBlockSize));
  auto* traffic = new NfsTraffic(protocol, std::move(memory));
  return std::unique_ptr<NfsTraffic>(traffic);
}

NfsTraffic::NfsTraffic(NfsProtocol& protocol, Buffer memory)
    : protocol_(protocol), memory_(std::move(memory)), requests_(kRequests) {
  for (size_t i = memory_.size() / kBlockSize; i > 0; i--)
    free_blocks_.push_back(static_cast<uint16_t>(i - 1));
}

NfsTraffic::Request* NfsTraffic::free_request() {
  auto found = std::find_if(requests_.begin(), requests_.end(),
                            [](const Request& request) { return !request.used; });
  return found == requests_.end() ? nullptr : &*found;
}

Status NfsTraffic::write(Owner& owner, const NfsOpenFile& file, uint64_t offset, Bytes bytes,
                         uint32_t epoch, NfsProtocol::Keep keep) {
  DW_CHECK(!bytes.empty() && bytes.size() <= kMostWritten);
  size_t blocks = (bytes.size() + kBlockSize - 1) / kBlockSize;
  Request* request = nullptr;
  DW_TRY(wait([&] {
    request = free_request();
    return request != nullptr && free_blocks_.size() >= blocks && protocol_.connection().has_room();
  }));
  *request = {};
  request->used = true;
  request->owner = &owner;
  request->file = &file;
  request->epoch = epoch;
  request->keep = keep;
  request->offset = offset;
  request->length = static_cast<uint32_t>(bytes.size());
  request->begun_ms = monotonic_ms();
  for (size_t at = 0; at < bytes.size(); at += kBlockSize) {
    uint16_t block = free_blocks_.back();
    free_blocks_.pop_back();
    request->blocks[request->block_count++] = block;
    Bytes part = bytes.subspan(at, std::min(kBlockSize, bytes.size() - at));
    std::memcpy(memory_.data() + block * kBlockSize, part.data(), part.size());
  }
  return send(*request);
}

Status NfsTraffic::commit(Owner& owner, const NfsOpenFile& file) {
  Request* request = free_request();
  if (request == nullptr || !protocol_.connection().has_room())
    return Error(ErrorKind::kIo, "too many files are to be made durable at a time");
  *request = {};
  request->used = true;
  request->is_commit = true;
  request->owner = &owner;
  request->file = &file;
  request->begun_ms = monotonic_ms();
  return send(*request);
}

RpcPayload NfsTraffic::payload_of(const Request& request) {
  RpcPayload payload;
  payload.bytes = request.length - request.done;
  uint32_t at = request.done;
  while (at < request.length) {
    size_t within = at % kBlockSize;
    size_t size = std::min<size_t>(kBlockSize - within, request.length - at);
    std::byte* block = memory_.data() + request.blocks[at / kBlockSize] * kBlockSize;
    payload.pieces[payload.piece_count++] = {block + within, size};
    at += static_cast<uint32_t>(size);
  }
  return payload;
}

Status NfsTraffic::send(Request& request) {
  auto tag = static_cast<uint64_t>(&request - requests_.data());
  RpcConnection& connection = protocol_.connection();
  if (request.is_commit) {
    NfsCall call = protocol_.commit_call(*request.file);
    return connection.submit(call.procedure, call.arguments, {}, *this, tag,
                             RpcConnection::Kind::kSlow);
  }
  RpcPayload payload = payload_of(request);
  NfsCall call = protocol_.write_call(*request.file, request.offset + request.done, payload.bytes,
                                      request.keep);
  return connection.submit(call.procedure, call.arguments, payload, *this, tag);
}

void NfsTraffic::release(Request& request) {
  for (size_t i = 0; i < request.block_count; i++) free_blocks_.push_back(request.blocks[i]);
  request = {};
}

void NfsTraffic::forget(const Owner& owner) {
  for (Request& request : requests_) {
    if (!request.used || request.owner != &owner) continue;
    request.owner = nullptr;
    request.file = nullptr;
    if (request.again_ms == 0) continue;
    put_off_--;
    release(request);
  }
}

Status NfsTraffic::move_on() {
  protocol_.keep_alive();
  send_again();
  return protocol_.connection().move_on();
}

// Failures are those of the connection, which whoever waits hears of.
void NfsTraffic::send_again() {
  if (put_off_ == 0) return;
  uint64_t now_ms = monotonic_ms();
  for (Request& request : requests_) {
    if (!request.used || request.again_ms == 0 || request.again_ms > now_ms) continue;
    if (!protocol_.connection().has_room()) return;
    request.again_ms = 0;
    put_off_--;
    if (!send(request).ok()) return;
  }
}

bool NfsTraffic::put_off(Request& request, uint32_t status) {
  if (!nfs_needs_time(status)) return false;
  uint64_t now_ms = monotonic_ms();
  if (now_ms >= request.begun_ms + protocol_.connection().times().busy_ms) {
    protocol_.connection().give_up(nfs_error("cannot write", status));
    return true;
  }
  request.again_ms = now_ms + kPauseMs;
  put_off_++;
  return true;
}

void NfsTraffic::on_reply(uint64_t tag, Result<XdrReader> results) {
  Request& request = requests_[tag];
  if (request.owner == nullptr) {
    release(request);
    return;
  }
  if (!results.ok()) {
    tell_failure(request, results.error());
  } else if (request.is_commit) {
    take_commit(request, *results);
  } else {
    take_write(request, *results);
  }
}

// The owner may submit more when it hears of it, so the request is free before.
void NfsTraffic::tell_failure(Request& request, const Error& error) {
  Owner& owner = *request.owner;
  bool is_commit = request.is_commit;
  uint32_t epoch = request.epoch;
  release(request);
  if (is_commit) {
    owner.on_committed(error);
  } else {
    owner.on_write_failed(epoch, error);
  }
}

void NfsTraffic::take_write(Request& request, XdrReader& results) {
  RpcConnection& connection = protocol_.connection();
  auto [status, written] = protocol_.write_results(results);
  uint32_t left = request.length - request.done;
  if (!results.ok() || (status == 0 && written.count > left)) {
    connection.give_up(Error(ErrorKind::kLost, "a reply of the server to a write makes no sense"));
    return;
  }
  if (nfs_is_lost(status)) {
    connection.give_up(nfs_error("cannot write", status));
    return;
  }
  if (put_off(request, status)) return;
  if (status != 0) return tell_failure(request, nfs_error("cannot write", status));
  if (written.count == 0)
    return tell_failure(request, Error(ErrorKind::kIo, "the server writes nothing"));
  Owner& owner = *request.owner;
  uint32_t epoch = request.epoch;
  request.done += written.count;
  bool last = written.count == left;
  if (last) {
    release(request);
  } else if (!send(request).ok()) {
    return;
  }
  owner.on_written(epoch, written, last);
}

void NfsTraffic::take_commit(Request& request, XdrReader& results) {
  RpcConnection& connection = protocol_.connection();
  auto [status, verifier] = protocol_.commit_results(results);
  if (!results.ok()) {
    connection.give_up(Error(ErrorKind::kLost, "a reply of the server to a commit makes no sense"));
    return;
  }
  if (nfs_is_lost(status)) {
    connection.give_up(nfs_error("cannot commit", status));
    return;
  }
  if (put_off(request, status)) return;
  if (status != 0)
    return tell_failure(request, nfs_error("the server cannot make durable what it has", status));
  Owner& owner = *request.owner;
  release(request);
  owner.on_committed(verifier);
}

}  // namespace dw
