#include "capture/journal/journal_format.h"

#include "capture/codec/running_digest.h"

namespace dw {

uint64_t journal_check(const JournalHeader& header) {
  return digest64(bytes_of(header).first(offsetof(JournalHeader, check)));
}

uint64_t journal_check(const JournalRecord& record, Bytes chunk_list, uint64_t header_check,
                       uint64_t position) {
  uint64_t of_record =
      digest64(bytes_of(record).first(offsetof(JournalRecord, check)), header_check + position);
  return chunk_list.empty() ? of_record : digest64(chunk_list, of_record);
}

}  // namespace dw
