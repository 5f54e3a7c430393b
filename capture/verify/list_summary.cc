#include "capture/verify/list_summary.h"

#include <algorithm>
#include <array>

#include "capture/codec/running_digest.h"
#include "capture/format/dump_format.h"
#include "capture/verify/list_cursor.h"

namespace dw {

namespace {

bool is_elf(const ListSummary& summary) {
  return summary.header.format == static_cast<uint32_t>(DumpFormat::kElf);
}

class Summarizer {
 public:
  explicit Summarizer(ListSummary& summary) : summary_(&summary) {}

  void take(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (summary_->file_bytes) gap(entry);  // something stands behind the end
    summary_->most_content = std::max(summary_->most_content, record.content);
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
        if (has_places() && record.offset != summary_->data_end) gap(entry);
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
  [[nodiscard]] bool has_places() const { return !is_elf(*summary_); }

  void gap(const JournalEntry& entry) {
    if (!summary_->gap_at) summary_->gap_at = entry.position;
  }

  void follow(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (!has_places() && record.kind == PieceKind::kPages) return;
    if (record.offset != summary_->data_end) gap(entry);
    summary_->data_end = record.offset + record.length;
  }

  void take_head(const JournalEntry& entry) {
    const JournalRecord& record = entry.record;
    if (!summary_->first_head) {
      if (record.offset != 0) gap(entry);
      summary_->first_head = record;
      summary_->data_end = 0;
    } else if (!summary_->second_head) {
      summary_->second_head = record;
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
  // An ELF core cannot say that it is incomplete.
  bool sealed = summary.sealed_head || is_elf(summary);
  bool all = summary.first_head && sealed && summary.plan &&
             summary.pages.total() == summary.planned_pages() &&
             summary.batches == summary.planned_batches();
  if (!all && !summary.gap_at) summary.gap_at = end;
}

}  // namespace

Result<ListSummary> summarize_list(const FileView& list) {
  DW_ASSIGN(ListCursor cursor, ListCursor::open(list));
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

Result<uint64_t> digest_of_range(const FileView& file, uint64_t offset, uint64_t length) {
  std::array<std::byte, 16384> buffer;
  RunningDigest digest;
  for (uint64_t done = 0; done < length;) {
    MutableBytes piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), length - done));
    DW_TRY(read_exact_at(file, piece, offset + done));
    digest.add(piece);
    done += piece.size();
  }
  return digest.value();
}

bool is_list_of(const FileView& dump, const ListSummary& list) {
  for (const std::optional<JournalRecord>& head :
       {list.first_head, list.sealed_head, list.second_head}) {
    if (!head) continue;
    Result<uint64_t> digest = digest_of_range(dump, head->offset, head->length);
    if (digest.ok() && *digest == head->digest) return true;
  }
  return false;
}

}  // namespace dw
