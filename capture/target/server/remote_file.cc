#include "capture/target/server/remote_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "capture/base/checked.h"

namespace dw {

Result<RemoteFile> RemoteFile::open(std::unique_ptr<ServerFile> file, const Memory& memory) {
  DW_ASSIGN(uint64_t size, file->size());
  return open(std::move(file), memory, size);
}

Result<RemoteFile> RemoteFile::open(std::unique_ptr<ServerFile> file, const Memory& memory,
                                    uint64_t size) {
  DW_ASSIGN(ReadCache cache, ReadCache::create(memory.ahead));
  Buffer piece;
  if (memory.piece > 0) {
    DW_ASSIGN(piece, Buffer::allocate(memory.piece));
  }
  return RemoteFile(std::move(file), std::move(piece), std::move(cache), size);
}

Status RemoteFile::written(const Status& status) {
  if (!status.ok()) failed_ = true;
  return status;
}

uint64_t RemoteFile::size() const {
  return piece_used_ == 0 ? size_ : std::max(size_, piece_end());
}

bool RemoteFile::is_held_back(uint64_t offset, uint64_t length) const {
  return offset < piece_end() && piece_begin_ < offset + length && piece_used_ > 0;
}

bool RemoteFile::is_on_its_way(uint64_t begin, uint64_t end) const {
  return on_their_way_.overlaps(begin, end) || committing_.overlaps(begin, end);
}

Status RemoteFile::write(uint64_t offset, Bytes bytes) {
  if (is_held_back(offset, bytes.size())) DW_TRY(push());
  return send(offset, bytes);
}

// Pieces end at multiples of their size, which suits whoever stores them.
Status RemoteFile::append(uint64_t offset, Bytes bytes) {
  if (piece_.size() == 0) return send(offset, bytes);
  DW_TRY(begin_piece(offset));
  while (!bytes.empty()) {
    size_t room = piece_.size() - piece_end() % piece_.size();
    size_t n = std::min(bytes.size(), room);
    if (piece_used_ == 0 && n == room) {  // a whole one as it is
      DW_TRY(send(piece_begin_, bytes.first(n)));
      piece_begin_ += n;
    } else {
      std::memcpy(piece_.data() + piece_used_, bytes.data(), n);
      piece_used_ += n;
      if (n == room) DW_TRY(push());
    }
    bytes = bytes.subspan(n);
  }
  return {};
}

Status RemoteFile::begin_piece(uint64_t offset) {
  if (offset == piece_end()) return {};
  DW_TRY(push());
  piece_begin_ = offset;
  return {};
}

Status RemoteFile::push() {
  if (piece_used_ == 0) return {};
  Status sent = send(piece_begin_, piece_.bytes().first(piece_used_));
  piece_begin_ = piece_end();
  piece_used_ = 0;
  return sent;
}

Status RemoteFile::send(uint64_t offset, Bytes bytes) {
  DW_TRY(note(offset, offset + bytes.size()));
  DW_TRY(written(file_->write(offset, bytes)));
  cache_.overwrite(offset, bytes);
  size_ = std::max(size_, offset + bytes.size());
  return {};
}

// The server may do writes in any order: those that overlap are kept apart.
Status RemoteFile::note(uint64_t begin, uint64_t end) {
  if (!is_on_its_way(begin, end) && on_their_way_.add(begin, end)) return {};
  DW_TRY(flush());
  DW_CHECK(on_their_way_.add(begin, end));
  return {};
}

Status RemoteFile::read(uint64_t offset, MutableBytes into) {
  if (is_held_back(offset, into.size())) DW_TRY(push());
  if (!range_fits(offset, into.size(), size_))
    return Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset);
  return cache_.read(offset, into, size_,
                     [this](uint64_t at, MutableBytes piece) { return fetch(at, piece); });
}

Status RemoteFile::fetch(uint64_t offset, MutableBytes into) {
  if (is_held_back(offset, into.size())) DW_TRY(push());
  if (is_on_its_way(offset, offset + into.size())) DW_TRY(flush());
  Status read = file_->read(offset, into);
  // With nothing on its way it is about the read alone.
  if (!read.ok() && !(on_their_way_.empty() && committing_.empty())) failed_ = true;
  return read;
}

Status RemoteFile::truncate(uint64_t length) {
  if (is_held_back(length, UINT64_MAX - length)) {
    piece_used_ = length > piece_begin_ ? length - piece_begin_ : 0;
  }
  DW_TRY(flush());
  DW_TRY(written(file_->truncate(length)));
  cache_.forget();
  size_ = length;
  return {};
}

Status RemoteFile::write_zeros(uint64_t begin, uint64_t end) {
  DW_TRY(flush());
  Status done = send_zeros(begin, end);
  cache_.forget();
  if (done.ok()) return {};
  if (done.error().kind() != ErrorKind::kNoSpace) return written(done);
  // Of those that were on their way too, each may have failed like this one.
  Status rest = file_->flush();
  if (!rest.ok() && rest.error().kind() != ErrorKind::kNoSpace) return written(rest);
  DW_ASSIGN(size_, file_->size());
  return done;
}

Status RemoteFile::send_zeros(uint64_t begin, uint64_t end) {
  // Not const, so that it is no part of the executable; nobody writes to it.
  static std::byte zeros[64 << 10];
  for (uint64_t at = begin; at < end;) {
    uint64_t n = std::min<uint64_t>(sizeof(zeros), end - at);
    DW_TRY(file_->write(at, std::span(zeros).first(n)));
    at += n;
    size_ = std::max(size_, at);
  }
  return file_->flush();
}

Status RemoteFile::flush() {
  DW_TRY(push());
  DW_TRY(written(file_->flush()));
  on_their_way_.clear();
  committing_.clear();
  return {};
}

Status RemoteFile::commit() {
  DW_TRY(push());
  if (failed_) return Error::from_errno("cannot sync", EIO);
  DW_TRY(written(file_->commit()));
  on_their_way_.clear();
  committing_.clear();
  return {};
}

Status RemoteFile::start_commit() {
  DW_TRY(push());
  if (failed_) return Error::from_errno("cannot sync", EIO);
  DW_CHECK(committing_.empty());
  DW_TRY(written(file_->start_commit()));
  committing_.swap(on_their_way_);
  return {};
}

Status RemoteFile::finish_commit() {
  DW_TRY(written(file_->finish_commit()));
  committing_.clear();
  return failed_ ? Status(Error::from_errno("cannot sync", EIO)) : Status();
}

}  // namespace dw
