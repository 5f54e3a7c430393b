#include "capture/format/seek_table_writer.h"

#include <array>
#include <optional>
#include <span>

#include "capture/format/stream_format.h"
#include "capture/journal/journal_reader.h"

namespace dw {

namespace {

struct SeekEntry {
  uint32_t length;
  uint32_t content;
};
constexpr uint64_t kMaxEntries = 0x8000000;
constexpr size_t kFooterBytes = 9;
constexpr size_t kPieceEntries = 512;

std::array<std::byte, kSkippableHeaderBytes> header_of(uint64_t entries) {
  std::array<std::byte, kSkippableHeaderBytes> header{};
  store(header, 0, kSeekTableMagic);
  store(header, 4, static_cast<uint32_t>(entries * sizeof(SeekEntry) + kFooterBytes));
  return header;
}

std::array<std::byte, kFooterBytes> footer_of(uint64_t entries) {
  std::array<std::byte, kFooterBytes> footer{};
  store(footer, 0, static_cast<uint32_t>(entries));
  store(footer, 4, uint8_t{0});  // no checksums: each frame has its own
  store(footer, 5, kSeekTableFooterMagic);
  return footer;
}

Error not_what_was_written(Target& target, uint64_t position) {
  return Error(ErrorKind::kIo, "the list of checksums is not what was written")
      .on(target.path())
      .at(Where::kOffset, position)
      .hint("the disk does not keep what is written to it: name another target");
}

// The record of the next frame.
Result<JournalRecord> next_frame(Target& target, JournalReader& journal) {
  while (true) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal.next());
    if (!entry) return not_what_was_written(target, journal.end());
    if (entry->record.kind != PieceKind::kPlan) return entry->record;
  }
}

}  // namespace

Status write_seek_table(Target& target, FrameFile& file) {
  uint64_t entries = file.frames();
  if (entries > kMaxEntries) return {};
  DW_ASSIGN(JournalReader journal, JournalReader::open(target));
  DW_TRY(file.append_piece(header_of(entries)));
  std::array<SeekEntry, kPieceEntries> piece;
  size_t used = 0;
  for (uint64_t i = 0, offset = 0; i < entries; ++i) {
    DW_ASSIGN(JournalRecord record, next_frame(target, journal));
    if (record.offset != offset) return not_what_was_written(target, journal.end());
    offset += record.length;
    piece[used++] = {.length = record.length, .content = record.content};
    if (used < piece.size() && i + 1 < entries) continue;
    DW_TRY(file.append_piece(std::as_bytes(std::span(piece).first(used))));
    used = 0;
  }
  DW_TRY(file.append_piece(footer_of(entries)));
  return file.end_pieces();
}

uint64_t seek_table_journal_bytes(uint64_t frames) {
  uint64_t bytes = kSkippableHeaderBytes + frames * sizeof(SeekEntry) + kFooterBytes;
  // A piece is as long as it can be, but for what is appended at once.
  uint64_t pieces = bytes / (kMaxPieceBytes - sizeof(SeekEntry) * kPieceEntries) + 1;
  return pieces * record_bytes(0);
}

}  // namespace dw
