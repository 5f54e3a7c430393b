#include "capture/format/frame_file.h"

#include <utility>

namespace dw {

void FramesSoFar::add(const JournalRecord& record) {
  end += record.length;
  // The first one is patched at the end.
  if (frames > 0) digests.add(bytes_of(record.digest));
  ++frames;
  content_bytes += record.content;
}

FrameFile::FrameFile(Target& target, const JournalHeader& header) : target_(&target) {
  if (target.rewritable()) journal_.emplace(target, header);
  clock_.restart(0);
}

Status FrameFile::write(uint64_t offset, Bytes bytes) {
  DW_CHECK(!broken_);
  Status written = target_->append(offset, bytes);
  if (!written.ok()) broken_ = true;
  return written;
}

Status FrameFile::make_room(size_t chunks) {
  bool due = clock_.due(end()) || (journal_ && !journal_->has_room(chunks));
  return due ? checkpoint() : Status();
}

Status FrameFile::append(Bytes frame, JournalRecord record, std::span<const PlannedChunk> chunks) {
  DW_TRY(make_room(chunks.size()));
  DW_TRY(write(end(), frame));
  record.offset = end();
  record.length = static_cast<uint32_t>(frame.size());
  if (journal_) journal_->add(record, chunks);
  so_far_.add(record);
  return {};
}

Status FrameFile::note(const JournalRecord& record) {
  if (!journal_) return {};
  DW_TRY(make_room(0));
  journal_->add(record);
  return {};
}

Status FrameFile::preallocate_journal(uint64_t bytes) {
  return journal_ ? journal_->preallocate(bytes) : Status();
}

Status FrameFile::append_piece(Bytes piece) {
  if (piece_bytes_ + piece.size() > kMaxPieceBytes) DW_TRY(end_piece());
  DW_TRY(write(end() + piece_bytes_, piece));
  piece_digest_.add(piece);
  piece_bytes_ += piece.size();
  return {};
}

Status FrameFile::end_piece() {
  JournalRecord record{.offset = end(),
                       .length = static_cast<uint32_t>(piece_bytes_),
                       .kind = PieceKind::kTail,
                       .digest = piece_digest_.value()};
  so_far_.end += piece_bytes_;
  piece_bytes_ = 0;
  piece_digest_.reset();
  return note(record);
}

Status FrameFile::end_pieces() {
  DW_TRY(end_piece());
  ++so_far_.frames;
  return {};
}

Status FrameFile::checkpoint() {
  DW_TRY(target_->barrier());
  if (journal_) DW_TRY(journal_->flush());
  clock_.restart(end());
  return {};
}

Status FrameFile::replace_first(Bytes frame, Bytes before, uint64_t content) {
  DW_CHECK(journal_ && frame.size() == before.size());
  DW_TRY(checkpoint());
  journal_->add({.offset = 0,
                 .length = static_cast<uint32_t>(frame.size()),
                 .content = static_cast<uint32_t>(content),
                 .kind = PieceKind::kSealedHead,
                 .digest = digest64(frame)});
  journal_->add({.offset = end(), .kind = PieceKind::kEnd});
  DW_TRY(journal_->flush());
  // The list must know both before the frame can be either.
  DW_TRY(target_->sync());
  DW_TRY(target_->write_at(0, frame));
  Status synced = target_->sync();
  // Nobody may read from memory that the dump is whole when the disk does not know it. Failing too
  // would change nothing.
  if (!synced.ok()) (void)target_->write_at(0, before);
  return synced;
}

Status FrameFile::go_on(FramesSoFar before, uint64_t journal_end, Bytes first) {
  DW_CHECK(journal_ && end() == 0);
  DW_TRY(target_->write_at(0, first));
  DW_TRY(journal_->go_on_at(journal_end));
  // Nothing may vouch for frames that are not there any more, nor a header for all of them.
  DW_TRY(target_->sync());
  DW_TRY(target_->truncate(before.end));
  so_far_ = std::move(before);
  clock_.restart(end());
  return {};
}

}  // namespace dw
