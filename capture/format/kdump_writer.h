// Writes a kdump file to a target so that it can be opened at any moment after begin() and never
// shows a wrong page: data first, sync, then the descriptors that point to it.
//
// The journal beside it tells how far it got, so that an interrupted file can be continued.
//
// To a target that cannot be rewritten every byte goes once, and the header last: that is for
// flattened_writer.h, which keeps the offsets. It has no journal.
// Thread safety: as DumpWriter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/format/descriptor_table.h"
#include "capture/format/dump_writer.h"
#include "capture/format/head_sum.h"
#include "capture/format/kdump_headers.h"
#include "capture/format/kdump_journal.h"
#include "capture/format/kdump_resume.h"
#include "capture/target/target.h"

namespace dw {

class KdumpWriter : public DumpWriter {
 public:
  // `description.compression` is that of `compression`.
  static Result<std::unique_ptr<KdumpWriter>> create(Target& target,
                                                     const KdumpDescription& description,
                                                     CompressionOptions compression,
                                                     uint64_t page_size);

  Status write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) override;
  [[nodiscard]] bool wants_windows_in_order() const override { return !target_->rewritable(); }
  [[nodiscard]] bool keeps_bitmap() const override { return target_->rewritable(); }
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override;
  // Reserves the head of the file and writes headers (INCOMPLETE), notes and the zero page.
  Status begin(const Plan& plan) override;
  Status publish() override;
  Result<ResumePoint> resume(const Plan& plan, const RememberPage& remember) override;
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override;
  Status finish(bool complete) override;

  // Makes what was appended readable too.
  Status checkpoint() override;

  // What create() allocates and what resume() takes for a moment, in bytes.
  [[nodiscard]] static size_t memory_bytes(uint64_t page_size) {
    return DescriptorTable::memory_bytes() + KdumpJournal::memory_bytes() +
           KdumpResume::memory_bytes(page_size);
  }

  [[nodiscard]] uint64_t bytes_written() const override { return data_end_; }

 private:
  KdumpWriter(Target& target, const KdumpDescription& description, CompressionOptions compression,
              const KdumpLayout& layout);

  // Everything has its place once the plan is known.
  void place(const Plan& plan);
  [[nodiscard]] KdumpHeader header(bool complete) const;
  Status write_header(bool complete);
  // Part of what stands before the pages, until it is published.
  Status write_head(uint64_t offset, Bytes bytes);
  Status write_end();
  Status reserve();
  Status write_zeros(uint64_t offset, uint64_t length);
  Status finish_appending(bool complete);
  [[nodiscard]] bool checkpoint_due(const PlannedBatch& batch) const;
  [[nodiscard]] PageDescriptor descriptor_of(const PageRecord& record) const;
  Status write_bitmap(uint64_t bitmap_offset, uint64_t first_pfn, Bytes bits);

  Target* target_;
  KdumpDescription description_;
  KdumpLayout layout_;
  HeadSum head_;  // as it was written
  uint64_t zero_page_offset_ = 0;
  uint64_t data_end_ = 0;     // where the next chunk goes
  CheckpointClock clock_{2};  // the data's sync, then that of its descriptors
  DescriptorTable table_;
  std::optional<KdumpJournal> journal_;  // of a target that can be rewritten
  bool resumed_ = false;
};

}  // namespace dw
