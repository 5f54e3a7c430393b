#include "capture/format/stream_file.h"

#include <algorithm>
#include <bit>

#include "capture/base/buffer.h"
#include "capture/base/checked.h"
#include "capture/base/file_window.h"
#include "capture/codec/running_digest.h"
#include "capture/format/kdump_format.h"
#include "capture/format/stream_indexer.h"
#include "capture/format/stream_reader.h"

namespace dw {

namespace {

constexpr size_t kDigestPiece = 1 << 20;
constexpr const char* kDamaged = "the dump is damaged; copy it again from where it was";

}  // namespace

Result<std::unique_ptr<StreamFile>> StreamFile::open(ReadableFile readable) {
  DW_ASSIGN(uint64_t size, dw::file_size(readable.get()));
  std::unique_ptr<StreamFile> file(new StreamFile(std::move(readable)));
  DW_ASSIGN(uint64_t end, end_without_zeros(file->file_.get(), size));
  // Every frame ends in a checksum or a magic number, none of which is zero as a whole.
  DW_TRY(StreamIndexer(*file, std::min(size, end + 3)).run());
  if (!file->marks_.empty()) DW_TRY(file->settle_marks());
  return file;
}

const StreamFile::Frame& StreamFile::frame_at(uint64_t offset) const {
  DW_CHECK(offset < content_bytes_);
  auto after = std::ranges::upper_bound(frames_, offset, {}, &Frame::content_offset);
  // Frames without content share their offset with the one behind them, which comes last.
  return *std::prev(after);
}

uint64_t StreamFile::file_offset(uint64_t offset) const {
  if (offset < content_bytes_) return frame_at(offset).file_offset;
  return frames_.empty() ? 0 : frames_.back().file_offset + frames_.back().file_bytes;
}

bool StreamFile::covers(uint64_t offset, uint64_t length) const {
  if (!range_fits(offset, length, content_bytes_)) return false;
  if (marks_.empty() || length == 0) return true;
  // The first mark that is not of a frame before the one that holds `offset`.
  auto mark =
      std::ranges::lower_bound(marks_, frame_at(offset).content_offset, {}, &Mark::content_offset);
  for (; mark != marks_.end() && mark->content_offset < offset + length; ++mark) {
    uint64_t begin = std::max(offset, mark->content_offset) - mark->content_offset;
    uint64_t end = offset + length - mark->content_offset;
    for (uint64_t slot = begin / slot_bytes_; slot < kMaxFrameSlots && slot * slot_bytes_ < end;
         ++slot)
      if ((mark->slots[slot / 8] >> (slot % 8) & 1) != 0) return false;
  }
  return true;
}

// How long a slot is, only the header in the content tells.
Status StreamFile::settle_marks() {
  DW_ASSIGN(std::unique_ptr<ByteReader> reader, open_reader());
  uint32_t block_size = 0;
  DW_TRY(reader->read_exact(std::as_writable_bytes(std::span(&block_size, 1)),
                            offsetof(KdumpHeader, block_size)));
  if (block_size < 4096 || block_size > 65536 || !std::has_single_bit(block_size))
    return Error(ErrorKind::kBadInput, "not a stream of a kdump file");
  slot_bytes_ = block_size;
  for (const Mark& mark : marks_) {
    uint64_t slots = divide_up(frame_at(mark.content_offset).content_bytes, slot_bytes_);
    for (uint64_t slot = slots; slot < kMaxFrameSlots; ++slot)
      if ((mark.slots[slot / 8] >> (slot % 8) & 1) != 0)
        return Error(ErrorKind::kBadInput, "a mark of missing pages is damaged")
            .at(Where::kOffset, mark.file_offset)
            .hint(kDamaged);
  }
  return {};
}

Result<std::unique_ptr<ByteReader>> StreamFile::open_reader() const {
  DW_ASSIGN(std::unique_ptr<StreamReader> reader, StreamReader::create(*this));
  return std::unique_ptr<ByteReader>(std::move(reader));
}

size_t StreamFile::reader_bytes() const {
  constexpr size_t kDecompressor = 256 << 10;
  return kDecompressor + max_file_bytes_ + StreamReader::kKeptFrames * max_content_bytes_;
}

size_t StreamFile::index_bytes() const {
  return frames_.capacity() * sizeof(Frame) + marks_.capacity() * sizeof(Mark);
}

Status StreamFile::verify() const { return closing_ ? check_digest() : check_every_frame(); }

Status StreamFile::check_digest() const {
  DW_ASSIGN(Buffer buffer, Buffer::allocate(kDigestPiece));
  FrameWalker walker(file_.get(), closing_offset_);
  FrameInfo frame;
  RunningDigest digests;
  while (true) {
    DW_ASSIGN(FrameWalker::Step step, walker.next(frame));
    if (step != FrameWalker::Step::kFrame) break;
    if (frame.offset == 0) continue;
    DW_ASSIGN(uint64_t digest, digest_of(frame, buffer.bytes()));
    digests.add(bytes_of(digest));
  }
  if (digests.value() == closing_->digest) return {};
  // A damaged frame has a place; the digest only knows that there is one.
  DW_TRY(check_every_frame());
  return Error(ErrorKind::kBadInput, "the digest in the closing frame is not that of the frames")
      .at(Where::kOffset, closing_offset_)
      .hint(kDamaged);
}

Result<uint64_t> StreamFile::digest_of(const FrameInfo& frame, MutableBytes buffer) const {
  RunningDigest digest;
  for (uint64_t done = 0; done < frame.length;) {
    MutableBytes piece = buffer.first(std::min<uint64_t>(buffer.size(), frame.length - done));
    DW_TRY(read_exact_at(file_.get(), piece, frame.offset + done));
    digest.add(piece);
    done += piece.size();
  }
  return digest.value();
}

Status StreamFile::check_every_frame() const {
  DW_ASSIGN(std::unique_ptr<StreamReader> reader, StreamReader::create(*this));
  for (const Frame& frame : frames_)
    if (Result<Bytes> content = reader->content_of(frame); !content.ok()) return content.error();
  return {};
}

}  // namespace dw
