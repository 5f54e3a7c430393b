#include "capture/verify/list_cursor.h"

#include <algorithm>
#include <array>
#include <utility>

#include "capture/base/checked.h"
#include "capture/base/fd.h"
#include "capture/base/file_window.h"

namespace dw {

namespace {

constexpr uint64_t kSector = 512;
// Records stand on multiples of it.
constexpr uint64_t kStep = 8;
// Behind a damaged record the next one begins no later.
constexpr uint64_t kMaxRecordBytes = record_bytes(kMaxRecordChunks);

bool all_zero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

Result<ListCursor> ListCursor::open(const FileView& file) {
  DW_ASSIGN(JournalReader reader, JournalReader::open(file));
  ListCursor cursor(file, std::move(reader));
  DW_ASSIGN(cursor.content_end_, end_without_zeros(file, cursor.size()));
  return cursor;
}

Result<std::optional<JournalEntry>> ListCursor::next() {
  uint64_t position = reader_.end();
  if (position >= content_end_) return std::optional<JournalEntry>();
  DW_ASSIGN(std::optional<JournalEntry> entry, reader_.next());
  if (entry) return entry;
  DW_TRY(note_broken(position));
  return find_next(position);
}

Result<std::optional<JournalEntry>> ListCursor::find_next(uint64_t position) {
  // A list may have been torn in several sectors at once.
  uint64_t last = std::min(position + 2 * kMaxRecordBytes + kSector, content_end_);
  for (uint64_t at = position + kStep; at < last; at += kStep) {
    reader_.go_to(at);
    DW_ASSIGN(std::optional<JournalEntry> entry, reader_.next());
    if (entry) return entry;
  }
  reader_.go_to(content_end_);
  return std::optional<JournalEntry>();
}

Status ListCursor::note_broken(uint64_t position) {
  DW_ASSIGN(bool torn, looks_torn(position));
  if (torn) {
    ++torn_;
  } else if (damaged_++ == 0) {
    first_damaged_at_ = position;
  }
  return {};
}

// What was not synced when power went is missing by whole sectors, which read as zeros.
Result<bool> ListCursor::looks_torn(uint64_t position) {
  std::array<std::byte, kMaxRecordBytes> bytes{};
  DW_ASSIGN(size_t there, read_up_to_at(file_, bytes, position));
  if (there < sizeof(JournalRecord)) return true;
  size_t chunks = load<JournalRecord>(bytes, 0).chunks;
  size_t length = record_bytes(std::min(chunks, kMaxRecordChunks));
  if (length > there) return true;
  for (size_t begin = 0; begin < length;) {
    uint64_t sector_end = align_down(position + begin, kSector) + kSector;
    size_t end = std::min<uint64_t>(length, sector_end - position);
    if (all_zero(Bytes(bytes).subspan(begin, end - begin))) return true;
    begin = end;
  }
  return false;
}

}  // namespace dw
