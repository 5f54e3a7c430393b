#include "capture/journal/journal_writer.h"

#include <array>

namespace dw {

JournalWriter::JournalWriter(Target& target, JournalHeader header)
    : target_(&target), header_(header) {
  header_.check = journal_check(header_);
  pending_.resize(kPendingBytes);  // touched now, so that it is there when it is needed
  pending_.clear();
}

Status JournalWriter::preallocate(uint64_t bytes) {
  Status room = target_->preallocate_sums(sizeof(JournalHeader) + bytes);
  if (goes_on_ && !room.ok() && room.error().kind() == ErrorKind::kNoSpace) return {};
  return room;
}

bool JournalWriter::has_room(size_t chunks) const {
  size_t unmarked = pending_.size() - marked_;
  return unmarked + record_bytes(chunks) <= kPendingBytes / 2 &&
         pending_.size() + record_bytes(chunks) <= kPendingBytes;
}

void JournalWriter::add(JournalRecord record, std::span<const PlannedChunk> chunks) {
  DW_CHECK(chunks.size() <= kMaxRecordChunks);
  DW_CHECK(pending_.size() + record_bytes(chunks.size()) <= kPendingBytes);
  std::array<uint32_t, kMaxRecordChunks> list{};
  for (size_t i = 0; i < chunks.size(); ++i)
    list[i] = static_cast<uint32_t>(chunks[i].first_pfn / kChunkPages);
  Bytes list_bytes = std::as_bytes(std::span(list)).first(chunk_list_bytes(chunks.size()));
  uint64_t begin = flushed_ == 0 ? sizeof(JournalHeader) : flushed_;
  record.chunks = static_cast<uint16_t>(chunks.size());
  record.check = journal_check(record, list_bytes, header_.check, begin + pending_.size());
  Bytes bytes = bytes_of(record);
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  pending_.insert(pending_.end(), list_bytes.begin(), list_bytes.end());
}

Status JournalWriter::flush_first(size_t size) {
  if (size == 0) return {};
  if (flushed_ == 0) {
    DW_TRY(target_->append_sums(bytes_of(header_)));
    flushed_ = sizeof(JournalHeader);
  }
  DW_TRY(target_->append_sums(std::span(pending_).first(size)));
  flushed_ += size;
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(size));
  marked_ -= std::min(marked_, size);
  return {};
}

Status JournalWriter::flush_marked() { return flush_first(marked_); }

Status JournalWriter::flush() { return flush_first(pending_.size()); }

Status JournalWriter::go_on_at(uint64_t position) {
  DW_CHECK(pending_.empty() && position >= sizeof(JournalHeader));
  DW_TRY(target_->cut_sums(position));
  flushed_ = position;
  goes_on_ = true;
  return {};
}

}  // namespace dw
