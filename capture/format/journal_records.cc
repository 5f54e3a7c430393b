#include "capture/format/journal_records.h"

#include <algorithm>
#include <cstring>

#include "capture/codec/running_digest.h"

namespace dw {

PlanRecord make_plan_record(const Plan& plan) {
  PlanRecord made{
      .record = {.offset = plan.kept_pages(), .kind = PieceKind::kPlan, .digest = plan.digest()}};
  BatchCursor batches(plan);
  PlannedBatch batch;
  for (; batches.next(batch); ++made.record.content)
    made.batch_bytes += record_bytes(batch.chunks().size());
  return made;
}

bool is_of_plan(const JournalRecord& record, const Plan& plan) {
  return record.kind == PieceKind::kPlan && record.offset == plan.kept_pages() &&
         record.digest == plan.digest();
}

JournalRecord make_pages_record(const BatchOutput& output) {
  const PageCounts& counts = output.counts();
  return {.kind = PieceKind::kPages,
          .stored = static_cast<uint16_t>(counts.stored),
          .shared = static_cast<uint16_t>(counts.shared),
          .zero = static_cast<uint16_t>(counts.zero),
          .missing = static_cast<uint16_t>(counts.missing),
          .changed = static_cast<uint16_t>(counts.changed_chunks),
          .digest = output.data_digest()};
}

PageCounts counts_of(const JournalRecord& record) {
  return {.stored = record.stored,
          .shared = record.shared,
          .zero = record.zero,
          .missing = record.missing,
          .changed_chunks = record.changed};
}

bool is_of_batch(const JournalEntry& entry, const PlannedBatch& batch) {
  return entry.record.kind == PieceKind::kPages &&
         counts_of(entry.record).total() == batch.pages() &&
         std::ranges::equal(entry.chunks, batch.chunks(),
                            [](uint32_t listed, const PlannedChunk& chunk) {
                              return listed == chunk.first_pfn / kChunkPages;
                            });
}

Status add_head(JournalWriter& journal, Target& target, uint64_t begin, uint64_t end,
                HeadSum& read_back) {
  std::array<std::byte, 16 << 10> buffer;
  for (; begin < end; begin += kHeadPieceBytes) {
    uint64_t length = std::min(kHeadPieceBytes, end - begin);
    RunningDigest digest;
    for (uint64_t done = 0; done < length; done += buffer.size()) {
      MutableBytes part = std::span(buffer).first(std::min(buffer.size(), length - done));
      DW_TRY(target.read_at(begin + done, part));
      digest.add(part);
      read_back.add(begin + done, part);
    }
    if (!journal.has_room(0)) DW_TRY(journal.flush());
    journal.add({.offset = begin,
                 .length = static_cast<uint32_t>(length),
                 .kind = PieceKind::kHead,
                 .digest = digest.value()});
  }
  return {};
}

Status compare_head(const HeadSum& written, const HeadSum& read_back) {
  if (written.value() == read_back.value()) return {};
  return Error(ErrorKind::kLost, "the head of the dump does not read back as it was written");
}

Error cannot_go_on(const char* why) {
  return Error(ErrorKind::kBadInput, why).hint("it stays as it is");
}

Result<JournalReader> open_expected_journal(Target& target, const JournalHeader& expected) {
  DW_ASSIGN(JournalReader journal, JournalReader::open(target));
  if (std::memcmp(&journal.header(), &expected, sizeof(expected)) != 0)
    return cannot_go_on("the list of checksums belongs to another dump");
  return journal;
}

Result<bool> could_read(const Status& read) {
  if (!read.ok() && is_lost(read.error())) return read.error();
  return read.ok();
}

Result<bool> is_there(Target& target, const JournalRecord& record, MutableBytes scratch) {
  RunningDigest digest;
  for (uint64_t done = 0; done < record.length;) {
    MutableBytes part = scratch.first(std::min<uint64_t>(scratch.size(), record.length - done));
    DW_ASSIGN(bool read, could_read(target.read_at(record.offset + done, part)));
    if (!read) return false;
    digest.add(part);
    done += part.size();
  }
  return digest.value() == record.digest;
}

uint64_t LastBatches::first(uint64_t batches) const {
  uint64_t first = batches;
  uint64_t bytes = 0;
  while (first > 0 && batches - first < kMost && bytes < kReadBackBytes) {
    --first;
    bytes += entries_[first % kMost].bytes;
  }
  return first;
}

}  // namespace dw
