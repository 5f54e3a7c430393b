#include "capture/format/elf_resume.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace dw {

Result<ElfResume> ElfResume::open(Target& target, const JournalHeader& expected, const Plan& plan,
                                  const ElfLayout& layout) {
  DW_ASSIGN(JournalReader journal, open_expected_journal(target, expected));
  DW_ASSIGN(ElfPages pages, ElfPages::create(layout));
  ElfResume resume(target, plan, layout, std::move(journal), std::move(pages));
  DW_ASSIGN(uint64_t size, target.size());
  if (size != layout.file_bytes())
    return cannot_go_on("the core has not the length that its headers tell");
  DW_TRY(resume.check_head());
  return resume;
}

Status ElfResume::check_head() {
  uint64_t end = 0;
  while (true) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry) return cannot_go_on("the list of checksums ends before the pages");
    const JournalRecord& record = entry->record;
    if (record.kind != PieceKind::kHead) {
      first_batch_at_ = journal_.end();
      if (end == layout_->data_offset() && is_of_plan(record, *plan_)) return {};
      return cannot_go_on("memory was judged differently when this dump was begun");
    }
    if (record.offset != end || record.length == 0 || record.length > layout_->file_bytes() - end)
      return cannot_go_on("the list of checksums has a gap");
    end += record.length;
    DW_ASSIGN(bool right, is_there(*target_, record, pages_.buffer()));
    if (!right)
      return cannot_go_on("the head of the dump is damaged").at(Where::kOffset, record.offset);
  }
}

Result<ElfResume::Point> ElfResume::walk(uint64_t limit) {
  // What makes reading a chunk back as long as reading so many bytes that are no hole.
  constexpr uint64_t kChunkCost = 64 << 10;
  Point point;
  point.journal_end = first_batch_at_;
  journal_.go_to(first_batch_at_);
  BatchCursor batches(*plan_);
  PlannedBatch batch;
  for (uint64_t sequence = 0; batches.next(batch); ++sequence) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry || !is_of_batch(*entry, batch) || entry->record.length > 0) break;
    if (sequence >= limit) {
      point.listed_pages += entry->record.stored;
      continue;
    }
    last_.add(sequence, entry->position,
              entry->record.stored * layout_->page_size() + entry->chunks.size() * kChunkCost);
    point.batches = sequence + 1;
    point.counts += counts_of(entry->record);
    point.journal_end = entry->end();
  }
  return point;
}

Result<bool> ElfResume::is_right(uint64_t sequence) {
  journal_.go_to(last_.position(sequence));
  DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
  if (!entry) return false;
  RunningDigest digest;
  std::span<ChunkBits> stored = std::span(stored_).first(entry->chunks.size());
  std::ranges::fill(stored, ChunkBits{});
  Status last;
  auto read_at = [&](uint64_t offset, MutableBytes into) {
    last = target_->read_at(offset, into);
    return last;
  };
  for (size_t i = 0; i < stored.size(); ++i)
    if (!pages_.read_chunk(uint64_t{entry->chunks[i]} * kChunkPages, read_at, digest, stored[i]))
      return could_read(last);
  return digest.value() == entry->record.digest &&
         digest64(std::as_bytes(stored)) == entry->record.table_digest;
}

Result<uint64_t> ElfResume::first_wrong(const Point& point) {
  for (uint64_t sequence = last_.first(point.batches); sequence < point.batches; ++sequence) {
    DW_ASSIGN(bool right, is_right(sequence));
    if (!right) return sequence;
  }
  return point.batches;
}

Result<ElfResume::Point> ElfResume::find() {
  return find_point([this](uint64_t limit) { return walk(limit); },
                    [this](const Point& point) { return first_wrong(point); });
}

}  // namespace dw
