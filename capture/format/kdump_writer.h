// Writes a kdump file to a target so that it can be opened at any moment after begin() and never
// shows a wrong page: data first, sync, then the descriptors that point to it.
// Thread safety: as DumpWriter.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/page_compressor.h"
#include "capture/format/descriptor_table.h"
#include "capture/format/dump_writer.h"
#include "capture/format/kdump_format.h"
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

class KdumpWriter : public DumpWriter {
 public:
  static Result<std::unique_ptr<KdumpWriter>> create(Target& target,
                                                     const KdumpDescription& description,
                                                     uint64_t page_size);

  Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) override;
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override;
  // Reserves the head of the file and writes headers (INCOMPLETE), notes and the zero page.
  Status begin(const Plan& plan) override;
  Status publish() override;
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override;
  Status finish(bool complete) override;

  // Makes all that was appended durable and readable.
  Status checkpoint();

  // What create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes() { return DescriptorTable::memory_bytes(); }

  [[nodiscard]] uint64_t bytes_written() const override { return data_end_; }

 private:
  KdumpWriter(Target& target, const KdumpDescription& description, const KdumpLayout& layout)
      : target_(&target),
        description_(description),
        layout_(layout),
        table_(DescriptorTable::create(target)) {}

  [[nodiscard]] KdumpHeader header(uint32_t status) const;
  [[nodiscard]] KdumpSubHeader sub_header() const;
  [[nodiscard]] bool checkpoint_due(const PlannedBatch& batch) const;
  [[nodiscard]] PageDescriptor descriptor_of(const PageRecord& record) const;
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
