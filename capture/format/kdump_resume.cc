#include "capture/format/kdump_resume.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "capture/codec/running_digest.h"
#include "capture/format/journal_records.h"

namespace dw {

namespace {

bool is_zero_page(const PageDescriptor& descriptor, const KdumpLayout& layout) {
  return descriptor.offset == layout.data_offset;
}

}  // namespace

Result<KdumpResume> KdumpResume::open(Target& target, const JournalHeader& expected,
                                      const Plan& plan, const KdumpLayout& layout) {
  DW_ASSIGN(JournalReader journal, open_expected_journal(target, expected));
  KdumpResume resume(target, plan, layout, std::move(journal));
  resume.pages_begin_ = layout.data_offset + layout.block_size;
  resume.positions_.resize(kWindow);
  DW_ASSIGN(resume.data_, Buffer::allocate(window_bytes(layout.block_size)));
  resume.descriptors_.reserve(kBatchPages);
  DW_TRY(resume.check_head());
  return resume;
}

// The header's block is written anew, since it may be sealed; all else has to be what it was.
Status KdumpResume::check_head() {
  uint64_t end = layout_.block_size;
  uint64_t table_end =
      layout_.descriptors_offset + layout_.descriptor_count * sizeof(PageDescriptor);
  while (true) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry) return cannot_go_on("the list of checksums ends before the pages");
    const JournalRecord& record = entry->record;
    if (record.kind == PieceKind::kPlan) {
      if (end != pages_begin_ || !is_of_plan(record, *plan_))
        return cannot_go_on("memory was judged differently when this dump was begun");
      first_batch_at_ = journal_.end();
      return {};
    }
    if (record.kind != PieceKind::kHead) return cannot_go_on("the list of checksums has no plan");
    if (record.offset == 0) continue;
    if (end == layout_.descriptors_offset) end = table_end;
    if (record.offset != end || record.length > pages_begin_ - end)
      return cannot_go_on("the list of checksums has a gap");
    end += record.length;
    DW_ASSIGN(bool right, is_there(*target_, record, data_.bytes()));
    if (!right)
      return cannot_go_on("the head of the dump is damaged").at(Where::kOffset, record.offset);
  }
}

Result<KdumpResume::Point> KdumpResume::walk(uint64_t limit) {
  Point point{.batches = 0,
              .counts = {},
              .data_end = pages_begin_,
              .journal_end = first_batch_at_,
              .listed = 0};
  journal_.go_to(first_batch_at_);
  while (point.batches < limit) {
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry || entry->record.kind != PieceKind::kPages) break;
    const JournalRecord& record = entry->record;
    if (record.offset != point.data_end || record.length > kBatchPages * layout_.block_size) break;
    positions_[point.batches % kWindow] = entry->position;
    ++point.batches;
    point.data_end += record.length;
    point.journal_end = entry->end();
    point.counts += counts_of(record);
  }
  return point;
}

Result<bool> KdumpResume::read_descriptors(const PlannedBatch& batch, const JournalEntry& entry) {
  if (!is_of_batch(entry, batch)) return false;
  descriptors_.resize(batch.pages());
  std::span<PageDescriptor> rest(descriptors_);
  for (const PlannedChunk& chunk : batch.chunks()) {
    uint64_t at = layout_.descriptors_offset + chunk.rank * sizeof(PageDescriptor);
    DW_ASSIGN(bool read,
              could_read(target_->read_at(at, std::as_writable_bytes(rest.first(chunk.kept)))));
    if (!read) return false;
    rest = rest.subspan(chunk.kept);
  }
  return digest64(std::as_bytes(std::span(descriptors_))) == entry.record.table_digest;
}

Result<uint64_t> KdumpResume::visit_last(const Point& point, const Visit& visit) {
  uint64_t sequence = point.batches - std::min(point.batches, kWindow);
  BatchCursor batches(*plan_, sequence);
  PlannedBatch batch;
  for (; sequence < point.batches && batches.next(batch); ++sequence) {
    journal_.go_to(positions_[sequence % kWindow]);
    DW_ASSIGN(std::optional<JournalEntry> entry, journal_.next());
    if (!entry) return sequence;
    DW_ASSIGN(bool pointed, read_descriptors(batch, *entry));
    if (!pointed) return sequence;
    DW_ASSIGN(bool right, visit(batch, entry->record));
    if (!right) return sequence;
  }
  return sequence;
}

Result<KdumpResume::Point> KdumpResume::find() {
  uint64_t listed = 0;
  auto walk_to = [&](uint64_t limit) {
    Result<Point> point = walk(limit);
    if (point.ok()) listed = std::max(listed, point->batches);
    return point;
  };
  auto has_data = [this](const PlannedBatch&, const JournalRecord& record) {
    return is_there(*target_, record, data_.bytes());
  };
  auto first_wrong = [&](const Point& point) { return visit_last(point, has_data); };
  DW_ASSIGN(Point point, find_point(walk_to, first_wrong));
  point.listed = listed;
  return point;
}

Status KdumpResume::remember(const Point& point, const RememberPage& remember) {
  DW_ASSIGN(PageDecompressor decompressor, PageDecompressor::create());
  DW_ASSIGN(Buffer page, Buffer::allocate(layout_.block_size));
  MutableBytes room = page.bytes().first(layout_.block_size);
  auto visit = [&](const PlannedBatch& batch, const JournalRecord& record) -> Result<bool> {
    DW_TRY(remember_batch(batch, record, decompressor, room, remember));
    return true;
  };
  DW_ASSIGN(uint64_t right, visit_last(point, visit));
  if (right == point.batches) return {};
  return Error(ErrorKind::kIo, "the dump does not read twice the same").on(target_->path());
}

// Pages with bytes of their own stand one behind the other, in the order of their descriptors;
// descriptors that point elsewhere share those of others.
Status KdumpResume::remember_batch(const PlannedBatch& batch, const JournalRecord& record,
                                   PageDecompressor& decompressor, MutableBytes page,
                                   const RememberPage& remember) {
  uint64_t next = record.offset;
  uint64_t end = record.offset + record.length;
  uint64_t window_begin = 0;
  Bytes window;
  for (const PageDescriptor& descriptor : descriptors_) {
    bool own = descriptor.size != 0 && descriptor.offset == next &&
               !is_zero_page(descriptor, layout_) &&
               descriptor.size <= std::min(end - next, layout_.block_size);
    if (!own) continue;
    if (next + descriptor.size > window_begin + window.size()) {
      MutableBytes room = data_.bytes().first(std::min<uint64_t>(data_.size(), end - next));
      DW_TRY(target_->read_at(next, room));
      window = room;
      window_begin = next;
    }
    Bytes stored = window.subspan(next - window_begin, descriptor.size);
    next += descriptor.size;
    Bytes bytes = page;
    if (descriptor.flags == 0 && stored.size() == page.size())
      bytes = stored;
    else if (descriptor.flags == kPageZstd)
      DW_TRY(decompressor.decompress_zstd(stored, page));
    else if (descriptor.flags == kPageZlib)
      DW_TRY(decompressor.decompress_zlib(stored, page));
    else
      return cannot_go_on("a page descriptor makes no sense");
    remember(batch.sequence(), bytes, descriptor.offset, descriptor.size);
  }
  return {};
}

}  // namespace dw
