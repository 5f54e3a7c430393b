#include "capture/format/stream_resume.h"

#include <utility>

#include "capture/codec/running_digest.h"
#include "capture/format/stream_format.h"

namespace dw {

Result<StreamResume> StreamResume::open(Target& target, const ExpectedStream& expected,
                                        const Plan& plan, MutableBytes scratch) {
  DW_ASSIGN(JournalReader journal, open_expected_journal(target, expected.journal));
  StreamResume resume(target, expected, plan, scratch, std::move(journal));
  DW_ASSIGN(resume.file_bytes_, target.size());
  DW_TRY(resume.check_head());
  return resume;
}

bool StreamResume::follows(const JournalRecord& record, uint64_t end) const {
  return record.offset == end && record.length > 0 && end <= file_bytes_ &&
         record.length <= file_bytes_ - end;
}

Status StreamResume::check_head() {
  FramesSoFar head;
  while (true) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry) return cannot_go_on("the list of checksums ends before the pages");
    const JournalRecord& record = entry->record;
    if (record.kind != PieceKind::kHead) {
      if (head.content_bytes == expected_.head_bytes && is_of_plan(record, *plan_)) return {};
      return cannot_go_on("memory was judged differently when this dump was begun");
    }
    DW_TRY(check_head_frame(record, head.end));
    head.add(record);
    ++head_frames_;
  }
}

// The first frame is written anew, whatever stands there.
Status StreamResume::check_head_frame(const JournalRecord& record, uint64_t end) {
  if (!follows(record, end)) return cannot_go_on("the list of checksums has a gap");
  bool right = record.length == expected_.first_frame.size() &&
               record.digest == digest64(expected_.first_frame);
  if (end > 0) {
    DW_ASSIGN(right, is_there(*target_, record, scratch_));
  }
  if (right) return {};
  return cannot_go_on("the head of the dump is damaged").at(Where::kOffset, record.offset);
}

Result<StreamResume::Point> StreamResume::walk_head() {
  Point point;
  journal_.go_to(sizeof(JournalHeader));
  for (uint64_t i = 0; i <= head_frames_; ++i) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry) return cannot_go_on("the list of checksums does not read twice the same");
    if (entry->record.kind == PieceKind::kHead) point.frames.add(entry->record);
  }
  point.journal_end = journal_.end();
  return point;
}

Result<std::optional<JournalRecord>> StreamResume::mark_behind(const JournalRecord& pages) {
  DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
  bool fits = entry && entry->record.kind == PieceKind::kMark && entry->record.content == 0 &&
              entry->record.length == sizeof(MissingMark) &&
              follows(entry->record, pages.offset + pages.length);
  return fits ? std::optional(entry->record) : std::nullopt;
}

Result<StreamResume::Point> StreamResume::walk(uint64_t limit) {
  DW_ASSIGN(Point point, walk_head());
  BatchCursor batches(*plan_);
  PlannedBatch batch;
  while (point.batches < limit && batches.next(batch)) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry || !is_of_batch(*entry, batch) || !follows(entry->record, point.frames.end) ||
        entry->record.content != batch.pages() * expected_.slot_bytes)
      break;
    const JournalRecord pages = entry->record;
    if (pages.missing > 0) {
      DW_ASSIGN(std::optional<JournalRecord> mark, mark_behind(pages));
      if (!mark) break;
      point.frames.add(pages);
      point.frames.add(*mark);
    } else {
      point.frames.add(pages);
    }
    last_.add(point.batches, entry->position, pages.length);
    ++point.batches;
    point.counts += counts_of(pages);
    point.journal_end = journal_.end();
  }
  return point;
}

Result<bool> StreamResume::is_right(uint64_t sequence) {
  journal_.go_to(last_.position(sequence));
  DW_ASSIGN(std::optional<JournalEntry> pages, journal_.next());
  if (!pages) return false;
  DW_ASSIGN(bool right, is_there(*target_, pages->record, scratch_));
  if (!right || pages->record.missing == 0) return right;
  DW_ASSIGN(std::optional<JournalRecord> mark, mark_behind(pages->record));
  return mark ? is_there(*target_, *mark, scratch_) : Result<bool>(false);
}

Result<uint64_t> StreamResume::first_wrong(const Point& point) {
  for (uint64_t sequence = last_.first(point.batches); sequence < point.batches; ++sequence) {
    DW_ASSIGN(bool right, is_right(sequence));
    if (!right) return sequence;
  }
  return point.batches;
}

Result<StreamResume::Point> StreamResume::find() {
  return find_point([this](uint64_t limit) { return walk(limit); },
                    [this](const Point& point) { return first_wrong(point); });
}

}  // namespace dw
