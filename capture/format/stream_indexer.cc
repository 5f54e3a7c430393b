#include "capture/format/stream_indexer.h"

#include <algorithm>
#include <bit>

#include "capture/format/kdump_format.h"

namespace dw {

namespace {

// 4 TiB of content at least, in an index of 100 MB.
constexpr size_t kMaxFrames = 4 << 20;
constexpr const char* kDamaged = "the dump is damaged; copy it again from where it was";

Error bad(const char* what, uint64_t offset) {
  return Error(ErrorKind::kBadInput, what).at(Where::kOffset, offset).hint(kDamaged);
}

}  // namespace

Status StreamIndexer::run() {
  DW_ASSIGN(table_, SeekTable::find(file_->file_.get(), file_size_));
  FrameInfo info;
  for (;;) {
    if (table_ && walker_.offset() == table_->offset()) {
      if (frames_ != table_->entries()) return seek_table_error(table_->offset());
      return settle_ending(FrameWalker::Step::kEnd);
    }
    DW_ASSIGN(FrameWalker::Step step, walker_.next(info));
    if (step != FrameWalker::Step::kFrame) return settle_ending(step);
    if (table_) DW_TRY(table_->check(frames_, info));
    DW_TRY(take(info));
    ++frames_;
  }
}

Status StreamIndexer::take(const FrameInfo& info) {
  if (info.magic == kSeekTableMagic && !table_) return seek_table_error(info.offset);
  if (file_->closing_) return bad("something stands behind the closing frame", info.offset);
  if (!info.skippable()) return take_content(info);
  return take_ours(info);
}

Status StreamIndexer::take_content(const FrameInfo& info) {
  Compression compression = info.magic == kLz4FrameMagic ? Compression::kLz4 : Compression::kZstd;
  if (file_->frames_.empty()) file_->compression_ = compression;
  if (compression != file_->compression_) return bad("a frame of another compression", info.offset);
  if (file_->frames_.size() == kMaxFrames)
    return Error(ErrorKind::kUnsupported, "a stream with too many frames")
        .hint("decompress the file with zstd -d or lz4 -d first");
  file_->frames_.push_back({.file_offset = info.offset,
                            .content_offset = file_->content_bytes_,
                            .file_bytes = static_cast<uint32_t>(info.length),
                            .content_bytes = static_cast<uint32_t>(info.content_bytes)});
  const StreamFile::Frame& frame = file_->frames_.back();
  file_->content_bytes_ += frame.content_bytes;
  file_->max_file_bytes_ = std::max(file_->max_file_bytes_, frame.file_bytes);
  file_->max_content_bytes_ = std::max(file_->max_content_bytes_, frame.content_bytes);
  may_mark_ = true;
  return {};
}

template <typename T>
Result<std::optional<T>> StreamIndexer::load_frame(const FrameInfo& info) {
  const T expected;
  T frame;
  if (info.length != sizeof(T)) return std::optional<T>();
  DW_TRY(
      read_exact_at(file_->file_.get(), std::as_writable_bytes(std::span(&frame, 1)), info.offset));
  if (std::memcmp(frame.signature, expected.signature, sizeof(frame.signature)) != 0)
    return std::optional<T>();
  return std::optional<T>(frame);
}

// Skippable frames of anybody else are passed over, as they are meant to be.
Status StreamIndexer::take_ours(const FrameInfo& info) {
  if (info.magic == kMissingMarkMagic) return take_mark(info);
  if (info.magic == kClosingMagic) return take_closing(info);
  return {};
}

Status StreamIndexer::take_mark(const FrameInfo& info) {
  DW_ASSIGN(std::optional<MissingMark> mark, load_frame<MissingMark>(info));
  if (!mark) return {};
  if (!may_mark_ || file_->frames_.back().content_bytes == 0)
    return bad("a mark of missing pages without a frame of pages", info.offset);
  may_mark_ = false;
  StreamFile::Mark taken{.content_offset = file_->frames_.back().content_offset,
                         .file_offset = info.offset,
                         .slots = {}};
  std::ranges::copy(mark->slots, taken.slots);
  for (uint8_t bits : mark->slots) missing_ += static_cast<uint64_t>(std::popcount(bits));
  file_->marks_.push_back(taken);
  return {};
}

Status StreamIndexer::take_closing(const FrameInfo& info) {
  DW_ASSIGN(std::optional<ClosingFrame> closing, load_frame<ClosingFrame>(info));
  if (!closing) return {};
  if (closing->check != closing_check(*closing))
    return bad("the closing frame is damaged", info.offset);
  if (closing->version != kClosingVersion)
    return Error(ErrorKind::kUnsupported, "a stream of another version")
        .at(Where::kOffset, info.offset)
        .hint("read it with the dumpwright that wrote it");
  bool whole = (closing->flags & kClosingWhole) != 0;
  if (closing->frames != frames_ || closing->content_bytes != file_->content_bytes_ ||
      closing->missing_pages != missing_ || (whole && missing_ > 0))
    return bad("the closing frame does not fit the frames before it", info.offset);
  file_->closing_ = *closing;
  file_->closing_offset_ = info.offset;
  file_->ending_ = whole ? Ending::kWhole : Ending::kPartial;
  return {};
}

Status StreamIndexer::settle_ending(FrameWalker::Step step) {
  if (file_->closing_) return {};
  // Ours begin with a frame that holds the header alone, and end with a closing frame.
  bool ours =
      !file_->frames_.empty() && file_->frames_.front().content_bytes == sizeof(KdumpHeader);
  if (step == FrameWalker::Step::kEnd && !ours) return {};
  file_->ending_ = Ending::kCut;
  file_->cut_at_ = walker_.offset();
  return {};
}

}  // namespace dw
