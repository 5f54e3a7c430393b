#include "capture/format/journal_header.h"

#include <array>

#include "capture/codec/running_digest.h"

namespace dw {

uint64_t crash_identity(const KdumpDescription& description) {
  std::array<uint64_t, 2> memory{description.max_mapnr, description.ram_pages};
  return digest64(description.notes, digest64(bytes_of(memory)));
}

JournalHeader make_journal_header(const KdumpDescription& description, DumpFormat format,
                                  CompressionOptions compression, uint64_t page_size) {
  JournalHeader header;
  header.format = static_cast<uint32_t>(format);
  header.compression = static_cast<uint32_t>(compression.compression);
  header.level = compression.level;
  header.dump_level = static_cast<uint32_t>(description.dump_level);
  header.page_size = static_cast<uint32_t>(page_size);
  header.identity = crash_identity(description);
  header.check = journal_check(header);
  return header;
}

}  // namespace dw
