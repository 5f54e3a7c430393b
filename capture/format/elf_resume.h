// How far an interrupted ELF core is certain to have got.
//
// Everything that is read is untrusted. Thread safety: one thread.
#pragma once

#include <array>
#include <cstdint>

#include "capture/base/result.h"
#include "capture/format/elf_layout.h"
#include "capture/format/elf_pages.h"
#include "capture/format/journal_records.h"
#include "capture/journal/journal_reader.h"
#include "capture/plan/batch.h"
#include "capture/plan/plan.h"
#include "capture/target/target.h"

namespace dw {

class ElfResume {
 public:
  // Where the core goes on.
  struct Point {
    uint64_t batches = 0;       // before it
    PageCounts counts;          // of these
    uint64_t journal_end = 0;   // offset in the journal, bytes
    uint64_t listed_pages = 0;  // with bytes of their own, behind it, which the journal has
  };

  // Errors: kBadInput, with the reason, if the core on `target` is another one or its head is
  // damaged. All that is pointed to must outlive it.
  static Result<ElfResume> open(Target& target, const JournalHeader& expected, const Plan& plan,
                                const ElfLayout& layout);

  // The last one up to which the journal vouches for all, and before which enough was read back
  // and found right.
  Result<Point> find();

 private:
  ElfResume(Target& target, const Plan& plan, const ElfLayout& layout, JournalReader journal,
            ElfPages pages)
      : target_(&target),
        plan_(&plan),
        layout_(&layout),
        journal_(std::move(journal)),
        pages_(std::move(pages)) {}

  Status check_head();
  Result<Point> walk(uint64_t limit);
  Result<uint64_t> first_wrong(const Point& point);
  Result<bool> is_right(uint64_t sequence);

  Target* target_;
  const Plan* plan_;
  const ElfLayout* layout_;
  JournalReader journal_;
  ElfPages pages_;
  uint64_t first_batch_at_ = 0;  // position in the journal
  LastBatches last_;
  std::array<ChunkBits, kBatchPages> stored_{};
};

}  // namespace dw
