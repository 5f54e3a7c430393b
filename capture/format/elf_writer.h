// Writes a filtered ELF core: the vmcore's notes and segments, with holes where pages were left
// out. elf.md beside this file is the specification.
//
// The journal beside it tells how far it got, so that an interrupted core can be continued. Thread
// safety: as DumpWriter.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/format/dump_writer.h"
#include "capture/format/elf_layout.h"
#include "capture/format/head_sum.h"
#include "capture/format/journal_records.h"
#include "capture/journal/journal_writer.h"
#include "capture/target/target.h"

namespace dw {

// e_phnum cannot say more, and many readers do not know PN_XNUM.
inline constexpr size_t kMaxProgramHeaders = 65534;

class ElfWriter : public DumpWriter {
 public:
  // Error kUnsupported if there are too many segments. The page size is that of the journal.
  static Result<std::unique_ptr<ElfWriter>> create(Target& target,
                                                   const ElfDescription& description,
                                                   const JournalHeader& journal);

  // A core has no bitmaps.
  Status write_bitmaps(uint64_t, Bytes, Bytes) override { return {}; }
  [[nodiscard]] bool keeps_bitmap() const override { return false; }
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override;
  Status begin(const Plan& plan) override;
  Status publish() override;
  Result<ResumePoint> resume(const Plan& plan, const RememberPage& remember) override;
  // `output` holds pages as they are (Coding::kPages without compression), zero pages noted.
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override;
  Status checkpoint() override;
  Status finish(bool complete) override;

  // Without the holes.
  [[nodiscard]] uint64_t bytes_written() const override { return written_; }

  // What create() allocates besides eight bytes for each piece of RAM, in bytes.
  [[nodiscard]] static size_t memory_bytes() {
    return sizeof(ElfWriter) + JournalWriter::memory_bytes();
  }

 private:
  // Pages that stand side by side in the batch and in the file.
  struct Run {
    uint64_t offset = 0;
    uint64_t where = 0;  // in the batch's data
    uint64_t size = 0;   // bytes
  };

  ElfWriter(Target& target, const ElfDescription& description, const JournalHeader& journal);

  Status preallocate_journal();
  Status write_program_headers();
  [[nodiscard]] uint64_t head_bytes() const {
    return layout_.notes_offset() + description_.notes.size();
  }
  Status write(uint64_t offset, Bytes bytes);
  Status write_head(uint64_t offset, Bytes bytes);
  Status write_run(const Run& run, Bytes data);
  Status extend(Run& run, const PageRecord& record, uint64_t offset, Bytes data);
  Status write_pages(const PlannedBatch& batch, const BatchOutput& output);
  // Makes holes of the chunk's pages that are not `stored`.
  Status clear_others(uint64_t first_pfn, const ChunkBits& stored);
  Status clear_page(uint64_t offset);

  Target* target_;
  ElfDescription description_;
  ElfLayout layout_;
  HeadSum head_;  // as it was written
  JournalWriter journal_;
  PlanRecord plan_;
  uint64_t written_ = 0;
  // Of a core that is continued: until so much is written, anything may stand in the file.
  uint64_t uncertain_until_ = 0;
  std::array<ChunkBits, kBatchPages> stored_{};  // by chunk of the batch: pages with bytes
  CheckpointClock clock_;
};

}  // namespace dw
