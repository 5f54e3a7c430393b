// How far an interrupted kdump file is certain to have got, and what a continued dump has to know
// of what is there.
//
// Everything that is read is untrusted.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/codec/page_decompressor.h"
#include "capture/format/dump_writer.h"
#include "capture/format/kdump_format.h"
#include "capture/journal/journal_reader.h"
#include "capture/pipeline/duplicate_index.h"
#include "capture/plan/batch.h"
#include "capture/target/target.h"

namespace dw {

class KdumpResume {
 public:
  // Where the dump goes on.
  struct Point {
    uint64_t batches = 0;      // before it
    PageCounts counts;         // of these
    uint64_t data_end = 0;     // offset in the file, bytes
    uint64_t journal_end = 0;  // offset in the journal, bytes
    uint64_t listed = 0;       // batches that the journal has
  };

  // What open() and remember() allocate, in bytes.
  [[nodiscard]] static size_t memory_bytes(uint64_t page_size) {
    return window_bytes(page_size) + page_size + kBatchPages * sizeof(PageDescriptor) +
           PageDecompressor::memory_bytes();
  }

  // `expected`: the header of the journal that a dump of `plan` from its beginning would have.
  // Errors: kBadInput, with the reason, if the dump on `target` is another one or its head is
  // damaged. All that is pointed to must outlive it.
  static Result<KdumpResume> open(Target& target, const JournalHeader& expected, const Plan& plan,
                                  const KdumpLayout& layout);

  // The last batch up to which the journal vouches for all, and before which enough were read back
  // and found right.
  Result<Point> find();

  // Hands over the pages before `point` that later ones may share.
  Status remember(const Point& point, const RememberPage& remember);

 private:
  static constexpr uint64_t kWindow = 256;
  // Of the file, read at once.
  [[nodiscard]] static constexpr size_t window_bytes(uint64_t page_size) { return 16 * page_size; }
  // As far back as a page may find its bytes.
  static_assert(kWindow >= DuplicateIndex::kReach);

  KdumpResume(Target& target, const Plan& plan, const KdumpLayout& layout, JournalReader journal)
      : target_(&target), plan_(&plan), layout_(layout), journal_(std::move(journal)) {}

  Status check_head();
  // Walks the journal's batches up to `limit`, and notes where the last kWindow stand.
  Result<Point> walk(uint64_t limit);
  // Whether the batch is as its record says; descriptors_ are its own.
  using Visit = std::function<Result<bool>(const PlannedBatch&, const JournalRecord&)>;
  // The first of the batches from kWindow before `point` on of which the descriptors, or visit(),
  // say that it is not; or point.batches.
  Result<uint64_t> visit_last(const Point& point, const Visit& visit);
  // Reads a batch's descriptors into descriptors_; whether they are what the record says.
  Result<bool> read_descriptors(const PlannedBatch& batch, const JournalEntry& entry);
  Status remember_batch(const PlannedBatch& batch, const JournalRecord& record,
                        PageDecompressor& decompressor, MutableBytes page,
                        const RememberPage& remember);

  Target* target_;
  const Plan* plan_;
  KdumpLayout layout_;
  JournalReader journal_;
  uint64_t first_batch_at_ = 0;  // position in the journal
  uint64_t pages_begin_ = 0;     // offset in the file
  Buffer data_;
  std::vector<PageDescriptor> descriptors_;
  std::vector<uint64_t> positions_;  // of the batches walked last, by sequence % kWindow
};

}  // namespace dw
