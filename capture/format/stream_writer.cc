#include "capture/format/stream_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"
#include "capture/format/journal_header.h"
#include "capture/format/journal_records.h"
#include "capture/format/seek_table_writer.h"
#include "capture/format/stream_format.h"
#include "capture/format/stream_resume.h"

namespace dw {

namespace {

// The head compresses well whatever its frames' size; small ones save memory.
constexpr size_t kHeadFrameBytes = 256 << 10;

constexpr uint64_t kBitmapPiece = 4096;
// A frame that can be patched in place without a sector ever holding half of it.
constexpr size_t kMaxFirstFrameBytes = 511;

}  // namespace

Result<std::unique_ptr<StreamWriter>> StreamWriter::create(Target& target,
                                                           const KdumpDescription& description,
                                                           CompressionOptions compression,
                                                           uint64_t page_size, Presence presence) {
  DW_CHECK(kBatchPages * page_size <= kMaxFrameBytes);
  DW_ASSIGN(KdumpLayout layout,
            make_kdump_layout(page_size, description.notes.size(), description.max_mapnr));
  DW_ASSIGN(FrameCompressor compressor, FrameCompressor::create(compression, kHeadFrameBytes));
  std::unique_ptr<StreamWriter> writer(new StreamWriter(
      target, description, compression, layout, std::move(presence), std::move(compressor)));
  DW_ASSIGN(writer->content_, Buffer::allocate(kHeadFrameBytes));
  DW_ASSIGN(writer->frame_, Buffer::allocate(FrameCompressor::bound(kHeadFrameBytes)));
  return writer;
}

StreamWriter::StreamWriter(Target& target, const KdumpDescription& description,
                           CompressionOptions compression, const KdumpLayout& layout,
                           Presence presence, FrameCompressor compressor)
    : target_(&target),
      description_(description),
      compression_(compression),
      layout_(layout),
      presence_(std::move(presence)),
      compressor_(std::move(compressor)),
      file_(target,
            make_journal_header(description, DumpFormat::kStream, compression, layout.block_size)) {
}

size_t StreamWriter::memory_bytes(CompressionOptions compression) {
  return kHeadFrameBytes + FrameCompressor::bound(kHeadFrameBytes) +
         FrameCompressor::memory_bytes(compression, kHeadFrameBytes) + FrameFile::memory_bytes();
}

Bytes StreamWriter::stored_header(const KdumpHeader& header, MutableBytes into) {
  size_t size = compressor_.store(bytes_of(header), into);
  DW_CHECK(size <= kMaxFirstFrameBytes);
  return into.first(size);
}

// As it stands there until sealing.
Bytes StreamWriter::first_frame(MutableBytes into) {
  KdumpHeader header = make_kdump_header(description_, layout_, kStatusIncomplete);
  header.written_blocks = 0;
  return stored_header(header, into);
}

Status StreamWriter::append_head(Bytes frame, size_t content) {
  DW_TRY(file_.append(frame, {.content = static_cast<uint32_t>(content),
                              .kind = PieceKind::kHead,
                              .digest = digest64(frame)}));
  content_begin_ += content;
  return {};
}

Status StreamWriter::flush_head() {
  if (content_size_ == 0) return {};
  size_t size = compressor_.compress(content_.bytes().first(content_size_), frame_.bytes());
  return append_head(frame_.bytes().first(size), std::exchange(content_size_, 0));
}

Status StreamWriter::put(Bytes content) {
  while (!content.empty()) {
    size_t n = std::min(content.size(), kHeadFrameBytes - content_size_);
    std::memcpy(content_.data() + content_size_, content.data(), n);
    content_size_ += n;
    content = content.subspan(n);
    if (content_size_ == kHeadFrameBytes) DW_TRY(flush_head());
  }
  return {};
}

Status StreamWriter::put_zeros_up_to(uint64_t offset) {
  DW_CHECK(offset >= content_begin_ + content_size_);
  while (content_begin_ + content_size_ < offset) {
    size_t n = std::min<uint64_t>(offset - content_begin_ - content_size_,
                                  kHeadFrameBytes - content_size_);
    std::ranges::fill(content_.bytes().subspan(content_size_, n), std::byte{0});
    content_size_ += n;
    if (content_size_ == kHeadFrameBytes) DW_TRY(flush_head());
  }
  return {};
}

Status StreamWriter::write_first_bitmap() {
  std::array<std::byte, kBitmapPiece> bits;
  for (uint64_t at = 0; at < layout_.bitmap_size; at += bits.size()) {
    MutableBytes piece = std::span(bits).first(std::min(kBitmapPiece, layout_.bitmap_size - at));
    DW_TRY(presence_(at * 8, piece));
    DW_TRY(put(piece));
  }
  return {};
}

Status StreamWriter::start() {
  if (file_.end() > 0) return {};
  DW_TRY(append_head(first_frame(frame_.bytes()), sizeof(KdumpHeader)));
  DW_TRY(put_zeros_up_to(layout_.sub_header_offset));
  KdumpSubHeader sub_header = make_kdump_sub_header(description_, layout_);
  DW_TRY(put(bytes_of(sub_header)));
  DW_TRY(put(description_.notes));
  DW_TRY(put_zeros_up_to(layout_.first_bitmap_offset));
  return write_first_bitmap();
}

Status StreamWriter::write_bitmaps(uint64_t first_pfn, Bytes, Bytes kept) {
  DW_CHECK(first_pfn % 8 == 0 && first_pfn / 8 < layout_.bitmap_size);
  DW_TRY(start());
  DW_TRY(put_zeros_up_to(layout_.second_bitmap_offset + first_pfn / 8));
  return put(kept.first(std::min<uint64_t>(kept.size(), layout_.bitmap_size - first_pfn / 8)));
}

Status StreamWriter::read_kept(uint64_t, MutableBytes) {
  return Error(ErrorKind::kUnsupported, "the bitmap of a stream cannot be read back");
}

// A chunk's pages have consecutive ranks and consecutive slots.
Status StreamWriter::write_descriptors(const Plan& plan) {
  std::array<PageDescriptor, kChunkPages> descriptors;
  Plan::AddressCursor cursor(plan);
  while (std::optional<PlacedChunk> chunk = cursor.next()) {
    for (unsigned i = 0; i < chunk->kept; ++i)
      descriptors[i] = {.offset = layout_.data_offset + (chunk->slot + i) * layout_.block_size,
                        .size = static_cast<uint32_t>(layout_.block_size),
                        .flags = 0,
                        .page_flags = 0};
    DW_TRY(put(std::as_bytes(std::span(descriptors).first(chunk->kept))));
  }
  return {};
}

// Of what the journal says: all that can be said of the plan, and how the stream ends.
Status StreamWriter::preallocate_journal(const PlanRecord& plan) {
  uint64_t head = divide_up(layout_.data_offset - sizeof(KdumpHeader), kHeadFrameBytes) + 1;
  uint64_t frames = head + 2 * plan.batches() + 1;  // a mark for each batch, the closing frame
  // Plan, closing frame, first frame as sealing makes it, end.
  uint64_t records = head + plan.batches() + 4;
  return file_.preallocate_journal(records * record_bytes(0) + plan.batch_bytes +
                                   seek_table_journal_bytes(frames));
}

Status StreamWriter::begin(const Plan& plan) {
  DW_TRY(start());
  layout_.set_descriptor_count(plan.kept_pages());
  PlanRecord record = make_plan_record(plan);
  DW_TRY(preallocate_journal(record));
  DW_TRY(put_zeros_up_to(layout_.descriptors_offset));
  DW_TRY(write_descriptors(plan));
  DW_TRY(put_zeros_up_to(layout_.data_offset));
  DW_TRY(flush_head());
  return file_.note(record.record);
}

Status StreamWriter::make_durable() {
  DW_TRY(file_.checkpoint());
  // What the journal says now, too.
  return target_->sync();
}

Status StreamWriter::publish() {
  DW_TRY(make_durable());
  return target_->publish();
}

Result<ResumePoint> StreamWriter::resume(const Plan& plan, const RememberPage&) {
  layout_.set_descriptor_count(plan.kept_pages());
  Bytes first = first_frame(frame_.bytes());
  DW_ASSIGN(StreamResume stream, StreamResume::open(*target_,
                                                    {.journal = file_.header(),
                                                     .first_frame = first,
                                                     .head_bytes = layout_.data_offset,
                                                     .slot_bytes = layout_.block_size},
                                                    plan, content_.bytes()));
  DW_ASSIGN(StreamResume::Point point, stream.find());
  missing_pages_ = point.counts.missing;
  DW_TRY(file_.go_on(std::move(point.frames), point.journal_end, first));
  DW_TRY(preallocate_journal(make_plan_record(plan)));
  return ResumePoint{.batches = point.batches, .counts = point.counts};
}

Status StreamWriter::mark_missing(const BatchOutput& output) {
  MissingMark mark;
  for (size_t i = 0; i < output.records().size(); ++i)
    if (output.records()[i].state == PageState::kMissing)
      mark.slots[i / 8] = static_cast<uint8_t>(mark.slots[i / 8] | 1U << (i % 8));
  missing_pages_ += output.counts().missing;
  return file_.append(bytes_of(mark),
                      {.kind = PieceKind::kMark, .digest = digest64(bytes_of(mark))});
}

Result<uint64_t> StreamWriter::append(const PlannedBatch& batch, const BatchOutput& output) {
  DW_CHECK(output.records().size() == batch.pages() && !output.data().empty());
  uint64_t begin = file_.end();
  JournalRecord record = make_pages_record(output);
  record.content = static_cast<uint32_t>(batch.pages() * layout_.block_size);
  DW_TRY(file_.append(output.data(), record, batch.chunks()));
  if (output.counts().missing > 0) DW_TRY(mark_missing(output));
  return begin;
}

Status StreamWriter::write_closing(bool complete) {
  ClosingFrame closing;
  closing.flags = complete ? kClosingWhole : 0;
  closing.content_bytes = file_.content_bytes();
  closing.frames = file_.frames();
  closing.missing_pages = missing_pages_;
  closing.digest = file_.digest();
  closing.check = closing_check(closing);
  return file_.append(bytes_of(closing),
                      {.kind = PieceKind::kTail, .digest = digest64(bytes_of(closing))});
}

Status StreamWriter::patch_first_frame() {
  KdumpHeader whole = make_kdump_header(description_, layout_, 0);
  size_t bound = FrameCompressor::bound(sizeof(whole));
  Bytes after = stored_header(whole, frame_.bytes().first(bound));
  Bytes before = first_frame(frame_.bytes().subspan(bound, bound));
  return file_.replace_first(after, before, sizeof(whole));
}

Status StreamWriter::finish(bool complete) {
  bool rewritable = target_->rewritable();
  // Behind half a frame nothing can be found any more.
  if (file_.broken()) return rewritable ? make_durable() : Status();
  DW_TRY(write_closing(complete));
  DW_TRY(file_.checkpoint());
  if (rewritable && compression_.compression != Compression::kLz4)
    DW_TRY(write_seek_table(*target_, file_));
  if (complete && rewritable) {
    DW_TRY(patch_first_frame());
    return target_->seal();
  }
  DW_TRY(make_durable());
  return complete ? target_->seal() : Status();
}

}  // namespace dw
