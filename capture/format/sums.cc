#include "capture/format/sums.h"

#include "capture/codec/running_digest.h"
#include "capture/format/journal_header.h"

namespace dw {

uint64_t sums_check(const SumsHeader& header) {
  return digest64(bytes_of(header).first(offsetof(SumsHeader, check)));
}

uint64_t sums_check(const SumRecord& record, uint64_t header_check) {
  return digest64(bytes_of(record).first(offsetof(SumRecord, check)), header_check);
}

SumsHeader make_sums_header(const KdumpDescription& description, DumpFormat format,
                            CompressionOptions compression, uint64_t page_size) {
  SumsHeader header;
  header.format = static_cast<uint32_t>(format);
  header.compression = static_cast<uint32_t>(compression.compression);
  header.level = compression.level;
  header.dump_level = static_cast<uint32_t>(description.dump_level);
  header.page_size = static_cast<uint32_t>(page_size);
  header.identity = crash_identity(description);
  header.check = sums_check(header);
  return header;
}

SumsWriter::SumsWriter(Target& target, const SumsHeader& header)
    : target_(&target), header_(header) {
  pending_.resize(kMaxPending);  // touched now, so that it is there when it is needed
  pending_.clear();
}

void SumsWriter::add(SumRecord record) {
  DW_CHECK(!full());
  record.check = sums_check(record, header_.check);
  pending_.push_back(record);
}

Status SumsWriter::flush() {
  if (pending_.empty()) return {};
  if (!started_) DW_TRY(target_->append_sums(bytes_of(header_)));
  started_ = true;
  DW_TRY(target_->append_sums(std::as_bytes(std::span(pending_))));
  flushed_ += pending_.size();
  pending_.clear();
  return {};
}

Status SumsWriter::read(uint64_t first, std::span<SumRecord> into) {
  DW_CHECK(into.size() <= flushed_ && first <= flushed_ - into.size());
  uint64_t offset = sizeof(SumsHeader) + first * sizeof(SumRecord);
  DW_TRY(target_->read_sums(offset, std::as_writable_bytes(into)));
  for (const SumRecord& record : into) {
    if (record.check != sums_check(record, header_.check))
      return Error(ErrorKind::kIo, "the list of sums is not what was written")
          .on(target_->path())
          .at(Where::kOffset, offset)
          .hint("the disk does not keep what is written to it: name another target");
    offset += sizeof(SumRecord);
  }
  return {};
}

}  // namespace dw
