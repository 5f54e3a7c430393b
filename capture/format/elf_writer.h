// Writes a filtered ELF core: the vmcore's notes and segments, with holes where pages were left
// out. elf.md beside this file is the specification. Thread safety: as DumpWriter.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/format/checkpoint_clock.h"
#include "capture/format/dump_writer.h"
#include "capture/source/elf_headers.h"
#include "capture/source/physical_map.h"
#include "capture/target/target.h"

namespace dw {

// What is pointed to must outlive the writer.
struct ElfDescription {
  Machine machine = Machine::kX86_64;
  Bytes notes;
  std::span<const Segment> segments;  // become program headers; their file offsets are not used
  // The page frames in the dump, sorted and disjoint: all that the segments bring.
  std::span<const PfnRange> ranges;
};

// e_phnum cannot say more, and many readers do not know PN_XNUM.
inline constexpr size_t kMaxProgramHeaders = 65534;

class ElfWriter : public DumpWriter {
 public:
  // Error kUnsupported if there are too many segments.
  static Result<std::unique_ptr<ElfWriter>> create(Target& target,
                                                   const ElfDescription& description,
                                                   uint64_t page_size);

  // A core has no bitmaps.
  Status write_bitmaps(uint64_t, Bytes, Bytes) override { return {}; }
  [[nodiscard]] bool keeps_bitmap() const override { return false; }
  Status read_kept(uint64_t first_pfn, MutableBytes bits) override;
  Status begin(const Plan& plan) override;
  Status publish() override;
  // `output` holds pages as they are (Coding::kPages without compression), zero pages noted.
  Result<uint64_t> append(const PlannedBatch& batch, const BatchOutput& output) override;
  Status checkpoint() override;
  Status finish(bool complete) override;

  // Without the holes.
  [[nodiscard]] uint64_t bytes_written() const override { return written_; }

 private:
  // Pages that stand side by side in the batch and in the file.
  struct Run {
    uint64_t offset = 0;
    uint64_t where = 0;  // in the batch's data
    uint64_t size = 0;   // bytes
  };

  ElfWriter(Target& target, const ElfDescription& description, uint64_t page_size);

  // Where a page frame of `ranges` stands in the file.
  [[nodiscard]] uint64_t offset_of(uint64_t pfn) const;
  Status write_program_headers();
  Status write(uint64_t offset, Bytes bytes);
  Status write_run(const Run& run, Bytes data);
  Status extend(Run& run, const PageRecord& record, uint64_t pfn, Bytes data);

  Target* target_;
  ElfDescription description_;
  uint64_t page_size_;
  std::vector<uint64_t> pages_before_;  // each of the ranges
  uint64_t page_count_ = 0;
  uint64_t notes_offset_ = 0;
  uint64_t data_offset_ = 0;
  uint64_t written_ = 0;
  CheckpointClock clock_;
};

}  // namespace dw
