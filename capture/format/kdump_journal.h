// What the journal says of a kdump file. journal/journal.md is the specification.
//
// Thread safety: one thread. Asks for no memory after it is made, but for the digests of the head.
#pragma once

#include <cstdint>
#include <span>

#include "capture/base/result.h"
#include "capture/format/journal_records.h"
#include "capture/format/kdump_format.h"
#include "capture/journal/journal_writer.h"
#include "capture/pipeline/batch_output.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"
#include "capture/target/target.h"

namespace dw {

class KdumpJournal {
 public:
  KdumpJournal(Target& target, const JournalHeader& header)
      : target_(&target), journal_(target, header) {}

  [[nodiscard]] const JournalHeader& header() const { return journal_.header(); }

  // Makes room for all that will be said of a dump of `plan`.
  Status begin(const Plan& plan, const KdumpLayout& layout);
  // Reads back the head up to `pages_begin`, where the first page will stand. Error kLost if it is
  // not what was `written`.
  Status add_head(const KdumpLayout& layout, uint64_t pages_begin, const HeadSum& written);

  [[nodiscard]] bool has_room(const PlannedBatch& batch) const {
    return journal_.has_room(batch.chunks().size());
  }
  // `descriptors`: of the batch's pages, in its order.
  void add_batch(const PlannedBatch& batch, const BatchOutput& output, uint64_t offset,
                 std::span<const PageDescriptor> descriptors);
  // The header as sealing makes it, followed by zeros up to the end of its block, and that the
  // file, then, is whole.
  Status add_end(Bytes sealed_header, uint64_t block_size, uint64_t file_bytes);

  // See JournalWriter.
  void mark() { journal_.mark(); }
  Status flush_marked() { return journal_.flush_marked(); }
  Status flush() { return journal_.flush(); }
  Status go_on_at(uint64_t position) { return journal_.go_on_at(position); }

  [[nodiscard]] static size_t memory_bytes() { return JournalWriter::memory_bytes(); }

 private:
  Target* target_;
  JournalWriter journal_;
  PlanRecord plan_;
};

}  // namespace dw
