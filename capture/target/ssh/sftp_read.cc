#include "capture/target/ssh/sftp_read.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace dw {

namespace {

// Pieces on their way: with 64 KiB each, what one connection lets the server send.
constexpr size_t kMostPieces = 32;

class RangeRead final : public SftpWaiter {
 public:
  RangeRead(SftpPool& pool, const std::string& handle, uint64_t offset, MutableBytes into)
      : pool_(&pool), handle_(&handle), offset_(offset), into_(into) {}
  RangeRead(const RangeRead&) = delete;
  RangeRead& operator=(const RangeRead&) = delete;
  ~RangeRead() { pool_->forget(*this); }

  Status run() {
    SftpPool::Patience patience;
    for (;;) {
      if (error_.has_value()) return *error_;
      ask();
      DW_TRY(pool_->work());
      if (asked_ == into_.size() && waiting_ == 0) return error_.has_value() ? *error_ : Status();
      if (waiting_ > 0) DW_TRY(pool_->wait(patience));
    }
  }

  void answered(uint32_t tag, const SftpReply& reply) override {
    Piece& piece = pieces_[tag];
    piece.asked = false;
    --waiting_;
    if (reply.type != SftpType::kData) {
      fail(reply);
    } else if (reply.data.empty() || reply.data.size() > piece.size) {
      error_ = Error::from_errno("the server's answer is wrong", EIO);
    } else {
      std::memcpy(into_.data() + piece.begin, reply.data.data(), reply.data.size());
      // A server may send less than it was asked for.
      piece.begin += reply.data.size();
      piece.size -= reply.data.size();
    }
  }

 private:
  struct Piece {
    size_t begin = 0;
    size_t size = 0;  // what is still wanted
    bool asked = false;
  };

  void fail(const SftpReply& reply) {
    if (error_.has_value()) return;
    if (reply.status == SftpStatus::kEof)
      error_ = Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset_);
    else
      error_ = Error::from_errno("cannot read", EIO).at(Where::kOffset, offset_);
  }

  // As many as are allowed.
  void ask() {
    SftpConnection& connection = pool_->first();
    for (uint32_t i = 0; i < pieces_.size(); ++i) {
      Piece& piece = pieces_[i];
      if (piece.asked) continue;
      if (piece.size == 0) {
        piece.begin = asked_;
        piece.size = std::min(connection.read_piece(), into_.size() - asked_);
        asked_ += piece.size;
      }
      if (piece.size > 0 && !ask(connection, i)) return;
    }
  }

  bool ask(SftpConnection& connection, uint32_t i) {
    Piece& piece = pieces_[i];
    SftpMessage message(SftpType::kRead);
    message.text(*handle_).number64(offset_ + piece.begin);
    message.number(static_cast<uint32_t>(piece.size));
    if (!connection.has_room(message.size())) return false;
    connection.send(message.take(connection.next_id()), {}, *this, i);
    piece.asked = true;
    ++waiting_;
    return true;
  }

  SftpPool* pool_;
  const std::string* handle_;
  uint64_t offset_;
  MutableBytes into_;
  std::array<Piece, kMostPieces> pieces_{};
  size_t asked_ = 0;    // bytes of `into_` that belong to some piece
  size_t waiting_ = 0;  // pieces without an answer
  std::optional<Error> error_;
};

}  // namespace

Status read_range(SftpPool& pool, const std::string& handle, uint64_t offset, MutableBytes into) {
  return RangeRead(pool, handle, offset, into).run();
}

}  // namespace dw
