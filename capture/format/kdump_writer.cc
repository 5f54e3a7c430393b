#include "capture/format/kdump_writer.h"

#include <algorithm>
#include <limits>

#include "capture/base/checked.h"
#include "capture/base/clock.h"

namespace dw {

namespace {

constexpr uint64_t kCheckpointBytes = 64 << 20;
constexpr uint64_t kCheckpointMs = 2000;

uint32_t compression_flag(Compression compression) {
  if (compression == Compression::kZlib) return kPageZlib;
  return compression == Compression::kZstd ? kPageZstd : 0;
}

uint32_t saturate(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

Result<std::unique_ptr<KdumpWriter>> KdumpWriter::create(Target& target,
                                                         const KdumpDescription& description,
                                                         uint64_t page_size) {
  DW_ASSIGN(KdumpLayout layout,
            make_kdump_layout(page_size, description.notes.size(), description.max_mapnr));
  return std::unique_ptr<KdumpWriter>(new KdumpWriter(target, description, layout));
}

KdumpHeader KdumpWriter::header(uint32_t status) const {
  KdumpHeader header{};
  std::memcpy(header.signature, kKdumpSignature, sizeof(kKdumpSignature));
  header.version = kKdumpVersion;
  header.utsname = description_.utsname;
  header.seconds = description_.crash_seconds;
  header.status = status;
  header.block_size = static_cast<int32_t>(layout_.block_size);
  header.sub_header_blocks = static_cast<int32_t>(
      (layout_.first_bitmap_offset - layout_.sub_header_offset) / layout_.block_size);
  header.bitmap_blocks = static_cast<uint32_t>(2 * layout_.bitmap_size / layout_.block_size);
  header.max_mapnr = saturate(description_.max_mapnr);
  header.total_ram_blocks = saturate(description_.ram_pages);
  header.written_blocks = saturate(layout_.descriptor_count);
  header.cpu_count = static_cast<int32_t>(std::max(1U, description_.cpu_count));
  return header;
}

KdumpSubHeader KdumpWriter::sub_header() const {
  KdumpSubHeader sub{};
  sub.phys_base = description_.phys_base;
  sub.dump_level = description_.dump_level;
  if (description_.vmcoreinfo_size > 0) {
    sub.vmcoreinfo_offset = layout_.notes_offset + description_.vmcoreinfo_offset;
    sub.vmcoreinfo_size = description_.vmcoreinfo_size;
  }
  if (layout_.notes_size > 0) {
    sub.notes_offset = layout_.notes_offset;
    sub.notes_size = layout_.notes_size;
  }
  sub.max_mapnr_64 = description_.max_mapnr;
  return sub;
}

Status KdumpWriter::begin(const Plan& plan) {
  layout_.set_descriptor_count(plan.kept_pages());
  zero_page_offset_ = layout_.data_offset;
  data_end_ = checkpoint_end_ = layout_.data_offset + layout_.block_size;
  table_.set_offset(layout_.descriptors_offset);
  // Not the bitmaps: they are written already, and what was not written of them reads as zeros.
  DW_TRY(target_->preallocate(0, layout_.first_bitmap_offset));
  DW_TRY(target_->preallocate(layout_.descriptors_offset, data_end_ - layout_.descriptors_offset));
  KdumpHeader first = header(compression_flag(description_.compression) | kStatusIncomplete);
  DW_TRY(target_->write_at(0, bytes_of(first)));
  KdumpSubHeader second = sub_header();
  DW_TRY(target_->write_at(layout_.sub_header_offset, bytes_of(second)));
  if (!description_.notes.empty())
    DW_TRY(target_->write_at(layout_.notes_offset, description_.notes));
  // The shared zero page is there already: preallocate() gives zeros.
  return {};
}

Status KdumpWriter::write_bitmap(uint64_t bitmap_offset, uint64_t first_pfn, Bytes bits) {
  DW_CHECK(first_pfn % 8 == 0 && first_pfn / 8 < layout_.bitmap_size);
  uint64_t length = std::min<uint64_t>(bits.size(), layout_.bitmap_size - first_pfn / 8);
  return target_->write_at(bitmap_offset + first_pfn / 8, bits.first(length));
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
  DW_TRY(target_->publish());
  checkpoint_ms_ = monotonic_ms();
  return {};
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
  return data_end_ - checkpoint_end_ >= kCheckpointBytes ||
         !table_.has_room(batch.pages(), batch.chunks().size()) ||
         monotonic_ms() - checkpoint_ms_ >= kCheckpointMs;
}

Result<uint64_t> KdumpWriter::append(const PlannedBatch& batch, const BatchOutput& output) {
  DW_CHECK(output.records().size() == batch.pages());
  if (checkpoint_due(batch)) DW_TRY(checkpoint());
  if (!output.data().empty()) DW_TRY(target_->write_at(data_end_, output.data()));

  const PageRecord* record = output.records().data();
  for (const PlannedChunk& chunk : batch.chunks()) {
    DW_CHECK(range_fits(chunk.rank, chunk.kept, layout_.descriptor_count));
    for (unsigned i = 0; i < chunk.kept; ++i) table_.add(chunk.rank + i, descriptor_of(*record++));
  }
  uint64_t begin = data_end_;
  data_end_ += output.data().size();
  return begin;
}

Status KdumpWriter::checkpoint() {
  if (!table_.empty()) {
    DW_TRY(table_.prepare());
    DW_TRY(target_->sync());
    DW_TRY(table_.write_sizes());
    DW_TRY(table_.write_pointers());
  }
  checkpoint_end_ = data_end_;
  checkpoint_ms_ = monotonic_ms();
  return {};
}

Status KdumpWriter::finish(bool complete) {
  DW_TRY(checkpoint());
  DW_TRY(target_->sync());
  DW_TRY(table_.write_sizes());
  // The descriptors must be there before a header says that all of them are.
  DW_TRY(target_->sync());
  if (!complete) return {};
  uint32_t status = compression_flag(description_.compression);
  KdumpHeader whole = header(status);
  DW_TRY(target_->write_at(0, bytes_of(whole)));
  Status synced = target_->sync();
  if (synced.ok()) return target_->seal();
  // Nobody may read from memory that the dump is whole when the disk does not know it. Failing too
  // would change nothing.
  KdumpHeader incomplete = header(status | kStatusIncomplete);
  (void)target_->write_at(0, bytes_of(incomplete));
  return synced;
}

}  // namespace dw
