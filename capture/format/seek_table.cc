#include "capture/format/seek_table.h"

#include "capture/format/stream_format.h"

namespace dw {

namespace {

constexpr uint64_t kFooterBytes = 9;  // entries, descriptor, magic
constexpr uint8_t kHasChecksums = 0x80;
constexpr uint8_t kReservedBits = 0x7c;

}  // namespace

Error seek_table_error(uint64_t offset) {
  return Error(ErrorKind::kBadInput, "the seek table does not match the frames")
      .at(Where::kOffset, offset)
      .hint("the dump is damaged; copy it again from where it was");
}

Result<std::optional<SeekTable>> SeekTable::find(const FileView& file, uint64_t file_size) {
  if (file_size < kSkippableHeaderBytes + kFooterBytes) return std::optional<SeekTable>();
  uint64_t footer_at = file_size - kFooterBytes;
  FileWindow window(file);
  DW_ASSIGN(Bytes footer, window.look(footer_at, kFooterBytes));
  if (footer.size() < kFooterBytes || load<uint32_t>(footer, 5) != kSeekTableFooterMagic)
    return std::optional<SeekTable>();
  uint64_t entries = load<uint32_t>(footer, 0);
  uint8_t descriptor = load<uint8_t>(footer, 4);
  unsigned entry_bytes = (descriptor & kHasChecksums) != 0 ? 12 : 8;
  uint64_t length = entries * entry_bytes + kFooterBytes;
  if ((descriptor & kReservedBits) != 0 || length > file_size - kSkippableHeaderBytes)
    return seek_table_error(footer_at);
  uint64_t offset = file_size - kSkippableHeaderBytes - length;
  DW_ASSIGN(Bytes header, window.look(offset, kSkippableHeaderBytes));
  if (load<uint32_t>(header, 0) != kSeekTableMagic || load<uint32_t>(header, 4) != length)
    return seek_table_error(footer_at);
  return std::optional<SeekTable>(SeekTable(file, offset, entries, entry_bytes));
}

Status SeekTable::check(uint64_t index, const FrameInfo& frame) {
  uint64_t at = offset_ + kSkippableHeaderBytes + index * entry_bytes_;
  if (index >= entries_) return seek_table_error(offset_);
  DW_ASSIGN(Bytes entry, window_.look(at, entry_bytes_));
  bool same = entry.size() == entry_bytes_ && load<uint32_t>(entry, 0) == frame.length &&
              load<uint32_t>(entry, 4) == frame.content_bytes;
  if (!same) return seek_table_error(at);
  return {};
}

}  // namespace dw
