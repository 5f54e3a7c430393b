#include "capture/target/nfs/nfs_reads.h"

#include <algorithm>
#include <cstring>

#include "capture/target/nfs/nfs_status.h"

namespace dw {

Status NfsReads::run() {
  DW_TRY(protocol_.connection().wait([&] { return move_on(); }, kPauseMs));
  if (error_) return *error_;
  return {};
}

bool NfsReads::move_on() {
  protocol_.keep_alive();
  if (!error_) start_pieces();
  bool busy = false;
  for (Piece& piece : pieces_) {
    if (!piece.used) continue;
    bool due = !piece.on_its_way && monotonic_ms() >= piece.not_before_ms;
    if (!error_ && due && protocol_.connection().has_room()) send(piece);
    busy = busy || piece.on_its_way || !error_;
  }
  return !busy;
}

void NfsReads::start_pieces() {
  for (Piece& piece : pieces_) {
    if (begun_ == into_.size()) return;
    if (piece.used) continue;
    piece = {};
    piece.used = true;
    piece.at = begun_;
    piece.size = std::min<size_t>(into_.size() - begun_, protocol_.most_read());
    piece.begun_ms = monotonic_ms();
    begun_ += piece.size;
  }
}

// A failure is that of the connection: whoever waits is told.
void NfsReads::send(Piece& piece) {
  NfsCall call = protocol_.read_call(file_, offset_ + piece.at, static_cast<uint32_t>(piece.size));
  auto tag = static_cast<uint64_t>(&piece - pieces_);
  Status sent = protocol_.connection().submit(call.procedure, call.arguments, {}, *this, tag);
  piece.on_its_way = sent.ok();
}

void NfsReads::fail(Piece& piece, const Error& error) {
  piece.used = false;
  if (!error_) error_ = error;
}

void NfsReads::on_reply(uint64_t tag, Result<XdrReader> results) {
  Piece& piece = pieces_[tag];
  piece.on_its_way = false;
  if (!results.ok()) return fail(piece, results.error());
  take(piece, *results);
}

void NfsReads::take(Piece& piece, XdrReader& results) {
  RpcConnection& connection = protocol_.connection();
  auto [status, read] = protocol_.read_results(results);
  if (!results.ok() || read.data.size() > piece.size) {
    connection.give_up(Error(ErrorKind::kLost, "a reply of the server to a read makes no sense"));
    return;
  }
  if (nfs_is_lost(status)) {
    connection.give_up(nfs_error("cannot read", status));
    return;
  }
  if (nfs_needs_time(status)) {
    uint64_t now_ms = monotonic_ms();
    if (now_ms >= piece.begun_ms + connection.times().busy_ms)
      connection.give_up(nfs_error("cannot read", status));
    piece.not_before_ms = now_ms + kPauseMs;
    return;
  }
  if (status != 0) return fail(piece, nfs_error("cannot read", status));
  if (!read.data.empty()) std::memcpy(into_.data() + piece.at, read.data.data(), read.data.size());
  piece.at += read.data.size();
  piece.size -= read.data.size();
  if (piece.size == 0) {
    piece.used = false;
  } else if (read.end) {
    fail(piece, Error(ErrorKind::kBadInput, "the file ends too early")
                    .at(Where::kOffset, offset_ + piece.at));
  } else if (read.data.empty()) {
    fail(piece, Error(ErrorKind::kIo, "the server reads nothing"));
  }
}

}  // namespace dw
