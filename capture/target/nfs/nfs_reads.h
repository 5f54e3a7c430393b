// A range of a file, read in many pieces at a time.
//
// Thread safety: none. Ownership: it borrows everything, and its calls have ended, or the
// connection has, when run() returns.
#pragma once

#include <vector>

#include "capture/target/nfs/nfs_protocol.h"

namespace dw {

class NfsReads final : public RpcReceiver {
 public:
  NfsReads(NfsProtocol& protocol, const NfsOpenFile& file, uint64_t offset, MutableBytes into)
      : protocol_(protocol), file_(file), offset_(offset), into_(into) {}

  // Exactly `into`. kBadInput if the file ends first.
  Status run();
  void on_reply(uint64_t tag, Result<XdrReader> results) override;

 private:
  static constexpr size_t kWindow = 16;
  static constexpr uint32_t kPauseMs = 200;

  struct Piece {
    bool used = false;
    bool on_its_way = false;
    size_t at = 0;  // in into_
    size_t size = 0;
    uint64_t begun_ms = 0;
    uint64_t not_before_ms = 0;
  };

  // Whether all is there, or failed and nothing is on its way.
  bool move_on();
  void start_pieces();
  void send(Piece& piece);
  void take(Piece& piece, XdrReader& results);
  void fail(Piece& piece, const Error& error);

  NfsProtocol& protocol_;
  const NfsOpenFile& file_;
  uint64_t offset_;
  MutableBytes into_;
  size_t begun_ = 0;  // bytes of into_ that are in pieces or done
  Piece pieces_[kWindow];
  std::optional<Error> error_;
};

}  // namespace dw
