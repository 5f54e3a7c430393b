#include "capture/format/frame_file.h"

namespace dw {

FrameFile::FrameFile(Target& target, const SumsHeader& header) : target_(&target) {
  if (target.rewritable()) sums_.emplace(target, header);
  clock_.restart(0);
}

Status FrameFile::write(Bytes bytes) {
  DW_CHECK(!broken_);
  Status written = target_->append(end_, bytes);
  if (!written.ok()) {
    broken_ = true;
    return written;
  }
  end_ += bytes.size();
  return {};
}

Status FrameFile::append(Bytes frame, uint64_t content, std::optional<uint64_t> digest) {
  if (checkpoint_due()) DW_TRY(checkpoint());
  uint64_t begin = end_;
  DW_TRY(write(frame));
  uint64_t known = digest ? *digest : digest64(frame);
  if (sums_)
    sums_->add({.offset = begin,
                .length = static_cast<uint32_t>(frame.size()),
                .content = static_cast<uint32_t>(content),
                .digest = known});
  if (frames_ > 0) digests_.add(bytes_of(known));
  ++frames_;
  content_bytes_ += content;
  return {};
}

Status FrameFile::append_piece(Bytes piece) {
  DW_TRY(write(piece));
  piece_digest_.add(piece);
  return {};
}

Status FrameFile::end_pieces(uint64_t length) {
  if (sums_ && sums_->full()) DW_TRY(checkpoint());
  if (sums_)
    sums_->add({.offset = end_ - length,
                .length = static_cast<uint32_t>(length),
                .content = 0,
                .digest = piece_digest_.value()});
  ++frames_;
  return {};
}

bool FrameFile::checkpoint_due() const { return clock_.due(end_) || (sums_ && sums_->full()); }

Status FrameFile::checkpoint() {
  DW_TRY(target_->sync());
  if (sums_) DW_TRY(sums_->flush());
  clock_.restart(end_);
  return {};
}

Status FrameFile::replace_first(Bytes frame, Bytes before, uint64_t content) {
  DW_CHECK(sums_ && frame.size() == before.size());
  DW_TRY(checkpoint());
  sums_->add({.offset = 0,
              .length = static_cast<uint32_t>(frame.size()),
              .content = static_cast<uint32_t>(content),
              .digest = digest64(frame)});
  DW_TRY(sums_->flush());
  // The list must know both before the frame can be either.
  DW_TRY(target_->sync());
  DW_TRY(target_->write_at(0, frame));
  Status synced = target_->sync();
  // Nobody may read from memory that the dump is whole when the disk does not know it. Failing too
  // would change nothing.
  if (!synced.ok()) (void)target_->write_at(0, before);
  return synced;
}

}  // namespace dw
