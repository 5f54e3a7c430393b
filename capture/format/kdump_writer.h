// Writes a kdump file to a target so that it can be opened at any moment after begin() and never
// shows a wrong page: data first, sync, then the descriptors that point to it.
//
// Order of calls: write_bitmaps() for each window, begin(), publish(), append() for each chunk in
// plan order, finish(). Owned and called by one thread, except write_bitmaps() and
// read_second_bitmap(), which may be called from several at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/page_compressor.h"
#include "capture/format/descriptor_table.h"
#include "capture/format/kdump_format.h"
#include "capture/pipeline/page_record.h"
#include "capture/target/target.h"

namespace dw {

// What the headers say of the crashed system.
struct KdumpDescription {
  UtsName utsname{};
  int64_t crash_seconds = 0;
  uint64_t phys_base = 0;
  unsigned cpu_count = 1;
  int dump_level = 0;
  Compression compression = Compression::kZstd;
  Bytes notes;                     // must outlive the writer
  uint64_t vmcoreinfo_offset = 0;  // within the notes
  uint64_t vmcoreinfo_size = 0;    // 0: none
  uint64_t max_mapnr = 0;
  uint64_t ram_pages = 0;
};

class KdumpWriter {
 public:
  // Allocates everything the writer will ever need.
  static Result<KdumpWriter> create(Target& target, const KdumpDescription& description,
                                    uint64_t page_size);

  // Bits of the window that starts at `first_pfn`: pages that are RAM, pages that are kept. What
  // lies beyond max_mapnr is cut off. Windows without memory need not be written.
  Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept);
  // Reads back what write_bitmaps() wrote as kept.
  Status read_second_bitmap(uint64_t first_pfn, MutableBytes bits);

  // Reserves the head of the file and writes headers (INCOMPLETE), notes and the zero page.
  Status begin(uint64_t kept_pages);
  // Syncs and shows the file as an incomplete dump.
  Status publish();

  // Appends a chunk: its pages' data one after another, and one record for each kept page. `rank`
  // is that of the first. Checkpoints when one is due.
  Status append(uint64_t rank, std::span<const PageRecord> records, Bytes data);

  // Makes all that was appended durable and readable.
  Status checkpoint();

  // Last checkpoint; then, if `complete`, clears INCOMPLETE and seals.
  Status finish(bool complete);

  // What create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return DescriptorTable::memory_bytes(); }

  [[nodiscard]] uint64_t bytes_written() const { return data_end_; }

 private:
  KdumpWriter(Target& target, const KdumpDescription& description, const KdumpLayout& layout)
      : target_(&target),
        description_(description),
        layout_(layout),
        table_(DescriptorTable::create(target)) {}

  [[nodiscard]] KdumpHeader header(uint32_t status) const;
  [[nodiscard]] KdumpSubHeader sub_header() const;
  [[nodiscard]] bool checkpoint_due(size_t more_records) const;
  [[nodiscard]] PageDescriptor descriptor_of(const PageRecord& record, uint64_t& offset) const;
  Status write_bitmap(uint64_t bitmap_offset, uint64_t first_pfn, Bytes bits);

  Target* target_;
  KdumpDescription description_;
  KdumpLayout layout_;
  uint64_t zero_page_offset_ = 0;
  uint64_t data_end_ = 0;        // where the next chunk goes
  uint64_t checkpoint_end_ = 0;  // data_end_ at the last checkpoint
  uint64_t checkpoint_ms_ = 0;   // monotonic time of it
  DescriptorTable table_;
};

}  // namespace dw
