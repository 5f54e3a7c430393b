#include "capture/format/kdump_writer.h"

#include <algorithm>
#include <array>

#include "capture/base/checked.h"
#include "capture/format/descriptor_eraser.h"
#include "capture/format/journal_header.h"
#include "capture/format/kdump_resume.h"

namespace dw {

Result<std::unique_ptr<KdumpWriter>> KdumpWriter::create(Target& target,
                                                         const KdumpDescription& description,
                                                         CompressionOptions compression,
                                                         uint64_t page_size) {
  DW_ASSIGN(KdumpLayout layout,
            make_kdump_layout(page_size, description.notes.size(), description.max_mapnr));
  return std::unique_ptr<KdumpWriter>(new KdumpWriter(target, description, compression, layout));
}

KdumpWriter::KdumpWriter(Target& target, const KdumpDescription& description,
                         CompressionOptions compression, const KdumpLayout& layout)
    : target_(&target),
      description_(description),
      layout_(layout),
      table_(DescriptorTable::create(target)) {
  description_.compression = compression.compression;
  if (target.rewritable())
    journal_.emplace(target, make_journal_header(description_, DumpFormat::kKdump, compression,
                                                 layout.block_size));
}

void KdumpWriter::place(const Plan& plan) {
  layout_.set_descriptor_count(plan.kept_pages());
  zero_page_offset_ = layout_.data_offset;
  data_end_ = layout_.data_offset + layout_.block_size;
  table_.set_offset(layout_.descriptors_offset);
}

KdumpHeader KdumpWriter::header(bool complete) const {
  uint32_t status = compression_flag(description_.compression);
  return make_kdump_header(description_, layout_, complete ? status : status | kStatusIncomplete);
}

Status KdumpWriter::write_header(bool complete) {
  KdumpHeader bytes = header(complete);
  return target_->write_at(0, bytes_of(bytes));
}

Status KdumpWriter::write_head(uint64_t offset, Bytes bytes) {
  head_.add(offset, bytes);
  return target_->write_at(offset, bytes);
}

Status KdumpWriter::begin(const Plan& plan) {
  place(plan);
  if (journal_) DW_TRY(journal_->begin(plan, layout_));
  clock_.restart(data_end_);
  DW_TRY(reserve());
  KdumpSubHeader sub_header = make_kdump_sub_header(description_, layout_);
  DW_TRY(write_head(layout_.sub_header_offset, bytes_of(sub_header)));
  if (description_.notes.empty()) return {};
  return write_head(layout_.notes_offset, description_.notes);
}

// What reads as zeros until it is written: the head, but for the bitmaps, which are written
// already, and what was not written of them reads as zeros; and the shared zero page.
Status KdumpWriter::reserve() {
  if (!target_->rewritable()) return write_zeros(zero_page_offset_, layout_.block_size);
  DW_TRY(target_->preallocate(0, layout_.first_bitmap_offset));
  DW_TRY(target_->preallocate(layout_.descriptors_offset, data_end_ - layout_.descriptors_offset));
  KdumpHeader incomplete = header(false);
  return write_head(0, bytes_of(incomplete));
}

Status KdumpWriter::write_zeros(uint64_t offset, uint64_t length) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  for (uint64_t done = 0; done < length; done += kZeros.size())
    DW_TRY(target_->write_at(
        offset + done, std::span(kZeros).first(std::min<uint64_t>(kZeros.size(), length - done))));
  return {};
}

Status KdumpWriter::write_bitmap(uint64_t bitmap_offset, uint64_t first_pfn, Bytes bits) {
  DW_CHECK(first_pfn % 8 == 0 && first_pfn / 8 < layout_.bitmap_size);
  uint64_t length = std::min<uint64_t>(bits.size(), layout_.bitmap_size - first_pfn / 8);
  return write_head(bitmap_offset + first_pfn / 8, bits.first(length));
}

Status KdumpWriter::write_bitmaps(uint64_t first_pfn, Bytes present, Bytes kept) {
  DW_TRY(write_bitmap(layout_.first_bitmap_offset, first_pfn, present));
  return write_bitmap(layout_.second_bitmap_offset, first_pfn, kept);
}

Status KdumpWriter::read_kept(uint64_t first_pfn, MutableBytes bits) {
  DW_CHECK(first_pfn % 8 == 0 && range_fits(first_pfn / 8, bits.size(), layout_.bitmap_size));
  return target_->read_at(layout_.second_bitmap_offset + first_pfn / 8, bits);
}

Status KdumpWriter::publish() {
  DW_TRY(target_->sync());
  if (journal_) {
    DW_TRY(journal_->add_head(layout_, data_end_, head_));
    DW_TRY(target_->sync());
  }
  DW_TRY(target_->publish());
  clock_.restart(data_end_);
  return {};
}

Result<ResumePoint> KdumpWriter::resume(const Plan& plan, const RememberPage& remember) {
  DW_CHECK(journal_);
  place(plan);
  DW_ASSIGN(KdumpResume dump, KdumpResume::open(*target_, journal_->header(), plan, layout_));
  DW_ASSIGN(KdumpResume::Point point, dump.find());
  DW_TRY(dump.remember(point, remember));
  // Power may have gone when all but the name was there: nothing may be taken back before the
  // header on the disk says that the dump is incomplete.
  DW_TRY(write_header(false));
  DW_TRY(write_zeros(sizeof(KdumpHeader), layout_.block_size - sizeof(KdumpHeader)));
  DW_TRY(target_->sync());
  DW_TRY(DescriptorEraser(*target_, plan, layout_).erase(point.batches, point.listed));
  DW_TRY(journal_->go_on_at(point.journal_end));
  DW_TRY(journal_->begin(plan, layout_));
  data_end_ = point.data_end;
  clock_.restart(data_end_);
  resumed_ = true;
  return ResumePoint{.batches = point.batches, .counts = point.counts};
}

// data_end_ is where the record's batch begins.
PageDescriptor KdumpWriter::descriptor_of(const PageRecord& record) const {
  uint32_t page_size = static_cast<uint32_t>(layout_.block_size);
  PageDescriptor descriptor{};
  if (record.state == PageState::kMissing) return descriptor;
  if (record.state == PageState::kZero) {
    descriptor.offset = zero_page_offset_;
    descriptor.size = page_size;
    return descriptor;
  }
  DW_CHECK(record.size > 0 && record.size <= page_size);
  bool earlier = record.state == PageState::kEarlier;
  descriptor.offset = earlier ? record.where : data_end_ + record.where;
  descriptor.size = record.size;
  if (record.size < page_size) descriptor.flags = compression_flag(description_.compression);
  return descriptor;
}

bool KdumpWriter::checkpoint_due(const PlannedBatch& batch) const {
  return clock_.due(data_end_) || !table_.has_room(batch.pages(), batch.chunks().size()) ||
         (journal_ && !journal_->has_room(batch));
}

Result<uint64_t> KdumpWriter::append(const PlannedBatch& batch, const BatchOutput& output) {
  DW_CHECK(output.records().size() == batch.pages());
  if (checkpoint_due(batch)) DW_TRY(checkpoint());
  if (!output.data().empty()) DW_TRY(target_->append(data_end_, output.data()));

  std::array<PageDescriptor, kBatchPages> descriptors;
  std::ranges::transform(output.records(), descriptors.begin(),
                         [this](const PageRecord& record) { return descriptor_of(record); });
  const PageDescriptor* next = descriptors.data();
  for (const PlannedChunk& chunk : batch.chunks()) {
    DW_CHECK(range_fits(chunk.rank, chunk.kept, layout_.descriptor_count));
    for (unsigned i = 0; i < chunk.kept; ++i) table_.add(chunk.rank + i, *next++);
  }
  if (journal_)
    journal_->add_batch(batch, output, data_end_, std::span(descriptors).first(batch.pages()));
  uint64_t begin = data_end_;
  data_end_ += output.data().size();
  return begin;
}

Status KdumpWriter::checkpoint() {
  clock_.restart(data_end_);
  if (table_.empty()) return {};
  if (!target_->rewritable()) {
    DW_TRY(table_.write_at_once());
    return target_->sync();
  }
  DW_TRY(table_.prepare());
  DW_TRY(target_->barrier());
  DW_TRY(table_.write_sizes());
  // Only now are the descriptors of the checkpoint before this one as their records say.
  DW_TRY(journal_->flush_marked());
  DW_TRY(table_.write_pointers());
  journal_->mark();
  return {};
}

Status KdumpWriter::finish(bool complete) {
  if (!target_->rewritable()) return finish_appending(complete);
  DW_TRY(checkpoint());
  DW_TRY(target_->sync());
  DW_TRY(table_.write_sizes());
  DW_TRY(journal_->flush());
  // What an interrupted run left behind the last batch.
  if (resumed_) DW_TRY(target_->truncate(data_end_));
  // The descriptors must be there before a header says that all of them are.
  DW_TRY(target_->sync());
  return complete ? write_end() : Status();
}

Status KdumpWriter::write_end() {
  KdumpHeader sealed = header(true);
  DW_TRY(journal_->add_end(bytes_of(sealed), layout_.block_size, data_end_));
  // The list must know both headers before the file can have either.
  DW_TRY(target_->sync());
  DW_TRY(write_header(true));
  Status synced = target_->sync();
  if (synced.ok()) return target_->seal();
  // Nobody may read from memory that the dump is whole when the disk does not know it. Failing too
  // would change nothing.
  (void)write_header(false);
  return synced;
}

Status KdumpWriter::finish_appending(bool complete) {
  DW_TRY(checkpoint());
  DW_TRY(write_header(complete));
  DW_TRY(target_->sync());
  return complete ? target_->seal() : Status();
}

}  // namespace dw
