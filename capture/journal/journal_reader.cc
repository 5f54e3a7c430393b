#include "capture/journal/journal_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "capture/base/checked.h"

namespace dw {

namespace {

bool is_known(PieceKind kind) { return kind >= PieceKind::kHead && kind <= PieceKind::kEnd; }

bool makes_sense(const JournalRecord& record) {
  unsigned pages = unsigned{record.stored} + record.shared + record.zero + record.missing;
  return is_known(record.kind) && record.chunks <= kMaxRecordChunks &&
         record.length <= kMaxPieceBytes && pages <= kChunkPages &&
         record.changed <= record.chunks && checked_add(record.offset, record.length).has_value();
}

}  // namespace

Result<JournalReader> JournalReader::open(ReadAt read_at, uint64_t size) {
  Error not_one(ErrorKind::kBadInput, "not a list of checksums");
  if (size < sizeof(JournalHeader)) return not_one;
  JournalReader reader(std::move(read_at), size);
  JournalHeader& header = reader.header_;
  DW_TRY(reader.read_at_(0, std::as_writable_bytes(std::span(&header, 1))));
  if (std::memcmp(header.signature, JournalHeader{}.signature, sizeof(header.signature)) != 0 ||
      header.check != journal_check(header))
    return not_one;
  if (header.version != kJournalVersion)
    return Error(ErrorKind::kUnsupported, "a list of checksums of another version");
  return reader;
}

Result<JournalReader> JournalReader::open(Target& target) {
  DW_ASSIGN(uint64_t size, target.sums_size());
  return open(
      [&target](uint64_t offset, MutableBytes into) { return target.read_sums(offset, into); },
      size);
}

Result<JournalReader> JournalReader::open(const FileView& file) {
  DW_ASSIGN(uint64_t size, file_size(file));
  return open(
      [file](uint64_t offset, MutableBytes into) { return read_exact_at(file, into, offset); },
      size);
}

void JournalReader::go_to(uint64_t position) {
  DW_CHECK(position >= sizeof(JournalHeader) && position <= size_);
  at_ = position;
}

Result<Bytes> JournalReader::look(size_t count) {
  DW_CHECK(count <= window_.size());
  size_t there = std::min<uint64_t>(count, size_ - at_);
  if (at_ < window_begin_ || at_ + there > window_begin_ + window_size_) {
    window_size_ = 0;  // until it is read
    size_t size = std::min<uint64_t>(window_.size(), size_ - at_);
    DW_TRY(read_at_(at_, std::span(window_).first(size)));
    window_begin_ = at_;
    window_size_ = size;
  }
  return Bytes(window_).subspan(at_ - window_begin_, there);
}

Result<std::optional<JournalEntry>> JournalReader::next() {
  DW_ASSIGN(Bytes head, look(sizeof(JournalRecord)));
  if (head.size() < sizeof(JournalRecord)) return std::optional<JournalEntry>();
  JournalEntry entry{.record = load<JournalRecord>(head, 0), .chunks = {}, .position = at_};
  if (!makes_sense(entry.record)) return std::optional<JournalEntry>();
  size_t size = record_bytes(entry.record.chunks);
  DW_ASSIGN(Bytes whole, look(size));
  if (whole.size() < size) return std::optional<JournalEntry>();
  Bytes list = whole.subspan(sizeof(JournalRecord));
  if (entry.record.check != journal_check(entry.record, list, header_.check, at_))
    return std::optional<JournalEntry>();
  if (!list.empty())
    std::memcpy(chunks_.data(), list.data(), entry.record.chunks * sizeof(uint32_t));
  entry.chunks = std::span(chunks_).first(entry.record.chunks);
  at_ += size;
  return std::optional<JournalEntry>(entry);
}

}  // namespace dw
