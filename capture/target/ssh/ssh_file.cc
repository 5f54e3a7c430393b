#include "capture/target/ssh/ssh_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "capture/target/ssh/sftp_read.h"

namespace dw {

namespace {

// Of a kWrite, but for the handle.
constexpr size_t kWriteHead = 64;

}  // namespace

SshFile::SshFile(SftpCalls& calls, std::vector<SshFile*>& open_files, std::string path,
                 std::string handle, bool writable)
    : calls_(&calls),
      pool_(&calls.pool()),
      open_files_(&open_files),
      path_(std::move(path)),
      writable_(writable) {
  open_files_->push_back(this);
  places_[0] = {.state = State::kOpen, .handle = std::move(handle)};
}

SshFile::~SshFile() {
  std::erase(*open_files_, this);
  pool_->forget(*this);
  for (; syncing_ > 0; --syncing_) pool_->sync_ends();
  if (!pool_->state().ok()) return;
  for (size_t slot = 0; slot < pool_->slots(); ++slot) {
    if (places_[slot].state == State::kOpen)
      pool_->at(slot)->close_handle(std::move(places_[slot].handle));
  }
  static_cast<void>(pool_->work());
}

void SshFile::answered(uint32_t tag, const SftpReply& reply) {
  SftpStatus status = reply.type == SftpType::kStatus ? reply.status : SftpStatus::kBadMessage;
  bool is_ok = status == SftpStatus::kOk;
  if ((tag & kOpenTag) != 0) {
    opened(places_[tag & kSlotMask], reply);
  } else if ((tag & kSyncTag) != 0) {
    --syncing_;
    pool_->sync_ends();
    if (!is_ok && !sync_refused_.has_value()) sync_refused_ = status;
  } else {
    --writing_;
    if (!is_ok && !refused_.has_value()) refused_ = status;
  }
}

void SshFile::opened(Place& place, const SftpReply& reply) {
  place.state = State::kRefused;
  if (reply.type != SftpType::kHandle) return;
  place.state = State::kOpen;
  place.handle.assign(reinterpret_cast<const char*>(reply.data.data()), reply.data.size());
}

Status SshFile::told() {
  if (!refused_.has_value()) return {};
  DW_TRY(drain());
  return calls_->write_refusal(*std::exchange(refused_, std::nullopt), places_[0].handle, path_);
}

Status SshFile::drain() {
  SftpPool::Patience patience;
  while (writing_ > 0) DW_TRY(pool_->wait(patience));
  return {};
}

Status SshFile::write(uint64_t offset, Bytes bytes) {
  DW_TRY(pool_->work());
  SftpPool::Patience patience;
  while (!bytes.empty()) {
    DW_TRY(told());
    size_t n = std::min(bytes.size(), pool_->first().write_piece());
    DW_ASSIGN(size_t slot, choose(n, patience));
    SftpConnection& connection = *pool_->at(slot);
    Place& place = places_[slot];
    std::string request = SftpMessage(SftpType::kWrite)
                              .text(place.handle)
                              .number64(offset)
                              .take(connection.next_id(), n);
    connection.send(request, bytes.first(n), *this, kWriteTag);
    ++writing_;
    place.dirty = true;
    offset += n;
    bytes = bytes.subspan(n);
    DW_TRY(pool_->work());
  }
  return told();
}

Result<size_t> SshFile::choose(size_t bytes, const SftpPool::Patience& patience) {
  for (;;) {
    open_everywhere();
    if (std::optional<size_t> slot = best(bytes)) return *slot;
    pool_->grow_if_slow();
    DW_TRY(pool_->wait(patience));
  }
}

std::optional<size_t> SshFile::best(size_t bytes) const {
  std::optional<size_t> best;
  for (size_t slot = 0; slot < pool_->slots(); ++slot) {
    const Place& place = places_[slot];
    if (place.state != State::kOpen) continue;
    const SftpConnection& connection = *pool_->at(slot);
    if (!connection.has_room(kWriteHead + place.handle.size() + bytes)) continue;
    if (!best.has_value() || connection.open_window() > pool_->at(*best)->open_window())
      best = slot;
  }
  return best;
}

void SshFile::open_everywhere() {
  if (!writable_ || path_.empty()) return;
  for (size_t slot = 1; slot < pool_->slots(); ++slot) {
    SftpConnection* connection = pool_->at(slot);
    if (connection == nullptr || places_[slot].state != State::kClosed) continue;
    SftpMessage message(SftpType::kOpen);
    message.text(calls_->absolute(path_)).number(kSftpRead | kSftpWrite).no_attributes();
    if (!connection->has_room(message.size())) continue;
    connection->send(message.take(connection->next_id()), {}, *this,
                     kOpenTag | static_cast<uint32_t>(slot));
    places_[slot].state = State::kOpening;
  }
}

Status SshFile::flush() {
  DW_TRY(pool_->work());
  DW_TRY(drain());
  return told();
}

Status SshFile::read(uint64_t offset, MutableBytes into) {
  DW_TRY(pool_->work());
  Status done = read_range(*pool_, places_[0].handle, offset, into);
  if (done.ok() || is_lost(done.error())) return done;
  Error error = done.error();
  return error.on(calls_->display(path_));
}

Result<uint64_t> SshFile::size() {
  DW_TRY(flush());
  return calls_->size(places_[0].handle, path_);
}

Status SshFile::truncate(uint64_t length) {
  DW_TRY(flush());
  places_[0].dirty = true;
  return calls_->truncate(places_[0].handle, path_, length);
}

Status SshFile::commit() {
  DW_TRY(start_commit());
  return finish_commit();
}

// A sync of the file on one connection finds what came over the others, but only what was done: so
// each connection is sent its own, behind its writes.
Status SshFile::start_commit() {
  DW_TRY(pool_->work());
  DW_TRY(told());
  if (!calls_->abilities().fsync) return flush();
  if (!pool_->first().works_in_order()) DW_TRY(flush());
  places_[0].dirty = true;
  for (size_t slot = 0; slot < pool_->slots(); ++slot) {
    if (places_[slot].dirty) DW_TRY(send_sync(slot));
  }
  return pool_->work();
}

Status SshFile::send_sync(size_t slot) {
  SftpPool::Patience patience;
  SftpConnection& connection = *pool_->at(slot);
  SftpMessage message(SftpType::kExtended);
  message.text("fsync@openssh.com").text(places_[slot].handle);
  while (!connection.has_room(message.size())) DW_TRY(pool_->wait(patience));
  connection.send(message.take(connection.next_id()), {}, *this,
                  kSyncTag | static_cast<uint32_t>(slot));
  ++syncing_;
  pool_->sync_begins();
  places_[slot].dirty = false;
  return {};
}

Status SshFile::put(Bytes content) {
  if (!pool_->first().works_in_order()) return ServerFile::put(content);
  return calls_->put(places_[0].handle, path_, content);
}

bool SshFile::commit_done() {
  return !pool_->work().ok() || syncing_ == 0 || refused_.has_value() || sync_refused_.has_value();
}

Status SshFile::finish_commit() {
  DW_TRY(pool_->work());
  SftpPool::Patience patience;
  while (syncing_ > 0) DW_TRY(pool_->wait(patience));
  DW_TRY(told());
  if (!sync_refused_.has_value()) return {};
  SftpStatus status = *std::exchange(sync_refused_, std::nullopt);
  return calls_->refusal(status, "cannot sync", path_);
}

}  // namespace dw
