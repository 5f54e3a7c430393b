#include "capture/verify/list_summary.h"

#include "capture/format/dump_format.h"
#include "capture/verify/list_cursor.h"

namespace dw {

namespace {

class Summarizer {
 public:
  explicit Summarizer(ListSummary& summary) : summary_(&summary) {}

  void take(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (summary_->file_bytes) gap(entry);  // something stands behind the end
    switch (record.kind) {
      case PieceKind::kHead:
        take_head(entry);
        break;
      case PieceKind::kPages:
        take_batch(entry);
        break;
      case PieceKind::kPlan:
        if (summary_->plan || summary_->batches > 0) gap(entry);
        summary_->plan = record;
        break;
      case PieceKind::kSealedHead:
        summary_->sealed_head = record;
        break;
      case PieceKind::kEnd:
        if (is_kdump() && record.offset != summary_->data_end) gap(entry);
        summary_->file_bytes = record.offset;
        break;
      case PieceKind::kMark:
      case PieceKind::kTail:
        follow(entry);
        break;
    }
  }

 private:
  [[nodiscard]] bool is_kdump() const {
    return summary_->header.format == static_cast<uint32_t>(DumpFormat::kKdump);
  }
  // The batches of an ELF core have no place of their own.
  [[nodiscard]] bool has_places() const {
    return summary_->header.format != static_cast<uint32_t>(DumpFormat::kElf);
  }

  void gap(const JournalEntry& entry) {
    if (!summary_->gap_at) summary_->gap_at = entry.position;
  }

  void follow(const JournalEntry& entry) {
    if (has_places() && entry.record.offset != summary_->data_end) gap(entry);
    summary_->data_end = entry.record.offset + entry.record.length;
  }

  void take_head(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (!summary_->first_head) {
      if (record.offset != 0) gap(entry);
      summary_->first_head = record;
      summary_->data_end = 0;
    }
    // The descriptors change until the dump is whole: they are in no piece of the head.
    bool behind_table = is_kdump() && summary_->table_end == 0 && !summary_->plan &&
                        record.offset > summary_->data_end;
    if (behind_table) {
      summary_->table_begin = summary_->data_end;
      summary_->table_end = record.offset;
      summary_->data_end = record.offset;
    }
    follow(entry);
    summary_->head_end = summary_->data_end;
  }

  void take_batch(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (!summary_->plan) gap(entry);
    follow(entry);
    ++summary_->batches;
    summary_->batch_bytes += record.length;
    summary_->pages += {.stored = record.stored,
                        .shared = record.shared,
                        .zero = record.zero,
                        .missing = record.missing,
                        .changed_chunks = record.changed};
  }

  ListSummary* summary_;
};

// What must be there if the dump is as the list's end says.
void check_whole(ListSummary& summary, uint64_t end) {
  bool all = summary.first_head && summary.sealed_head && summary.plan &&
             summary.pages.total() == summary.planned_pages() &&
             summary.batches == summary.planned_batches();
  if (!all && !summary.gap_at) summary.gap_at = end;
}

}  // namespace

Result<ListSummary> summarize_list(int fd) {
  DW_ASSIGN(ListCursor cursor, ListCursor::open(fd));
  ListSummary summary;
  summary.header = cursor.header();
  summary.size = cursor.size();
  Summarizer summarizer(summary);
  uint64_t end = sizeof(JournalHeader);
  for (;;) {
    DW_ASSIGN(std::optional<JournalEntry> entry, cursor.next());
    if (!entry) break;
    summarizer.take(*entry);
    end = entry->end();
  }
  bool whole = summary.file_bytes.has_value();
  // Before the end is written, everything before it was synced.
  if (cursor.damaged() > 0)
    summary.damaged_at = cursor.first_damaged_at();
  else if (whole && cursor.torn() > 0)
    summary.damaged_at = end;
  summary.torn = cursor.torn() > 0;
  // What a torn record said is not there, so that others seem to leave a gap.
  if (summary.torn || summary.damaged_at) summary.gap_at.reset();
  if (whole && !summary.damaged_at) check_whole(summary, end);
  return summary;
}

}  // namespace dw
