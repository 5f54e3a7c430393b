#include "capture/format/frame_walker.h"

#include <xxhash.h>

#include <algorithm>

#include "capture/base/checked.h"
#include "capture/format/stream_format.h"

namespace dw {

namespace {

constexpr uint64_t kMagicBytes = 4;
constexpr uint64_t kMaxZstdBlock = 128 << 10;
constexpr uint64_t kMaxLz4Block = 1 << 20;
// A frame may have blocks without content, but not for ever.
constexpr unsigned kMaxEmptyBlocks = 64;
constexpr size_t kLz4HeaderBytes = 15;

Error unsupported(const char* what, uint64_t offset) {
  return Error(ErrorKind::kUnsupported, what)
      .at(Where::kOffset, offset)
      .hint("decompress the file with zstd -d or lz4 -d first");
}

Error broken(const char* what, uint64_t offset) {
  return Error(ErrorKind::kBadInput, what)
      .at(Where::kOffset, offset)
      .hint("the dump is damaged; copy it again from where it was");
}

uint64_t load_size(Bytes from, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(from[at + i]) << (8 * i);
  return value;
}

// What a zstd frame's descriptor byte says of the header behind it.
struct ZstdHeader {
  explicit ZstdHeader(uint8_t descriptor)
      : reserved((descriptor & 0x8) != 0), checksum((descriptor & 0x4) != 0) {
    static constexpr uint8_t kDictionaryBytes[] = {0, 1, 2, 4};
    static constexpr uint8_t kSizeBytes[] = {0, 2, 4, 8};
    bool single_segment = (descriptor & 0x20) != 0;
    size_at = (single_segment ? 0U : 1U) + kDictionaryBytes[descriptor & 3];
    size_bytes = kSizeBytes[descriptor >> 6];
    if (size_bytes == 0 && single_segment) size_bytes = 1;
  }
  [[nodiscard]] size_t length() const { return 1 + size_at + size_bytes; }

  bool reserved;
  bool checksum;
  size_t size_at;  // behind the descriptor
  size_t size_bytes;
};

}  // namespace

bool FrameInfo::skippable() const { return (magic & kSkippableMask) == kSkippableMagic; }

// Stops at the size that the file had when it was opened, even if it grows.
Result<Bytes> FrameWalker::look(uint64_t offset, size_t count) {
  uint64_t left = file_size_ - std::min(offset, file_size_);
  return window_.look(offset, std::min<uint64_t>(count, left));
}

Result<FrameWalker::Step> FrameWalker::next(FrameInfo& frame) {
  if (offset_ == file_size_) return Step::kEnd;
  DW_ASSIGN(Bytes start, look(offset_, kMagicBytes));
  if (start.size() < kMagicBytes) return Step::kCut;
  frame = {.magic = load<uint32_t>(start, 0), .offset = offset_};
  Result<Walk> walk = walk_frame(frame);
  if (!walk.ok()) return walk.error();
  if (walk->step != Step::kFrame) return walk->step;
  if (walk->at > file_size_) return Step::kCut;
  frame.length = walk->at - offset_;
  uint64_t most = frame.content_bytes + frame.content_bytes / 128 + 4096;
  if (!frame.skippable() && frame.length > most)
    return broken("a frame is longer than its content can be", offset_);
  offset_ = walk->at;
  return Step::kFrame;
}

Result<FrameWalker::Walk> FrameWalker::walk_frame(FrameInfo& frame) {
  if (frame.skippable()) return walk_skippable();
  if (frame.magic == kZstdFrameMagic) return walk_zstd(frame);
  if (frame.magic == kLz4FrameMagic) return walk_lz4(frame);
  return broken("no frame begins here", offset_);
}

Result<FrameWalker::Walk> FrameWalker::walk_skippable() {
  DW_ASSIGN(Bytes length, look(offset_ + kMagicBytes, 4));
  if (length.size() < 4) return cut();
  return Walk{.step = Step::kFrame,
              .at = offset_ + kSkippableHeaderBytes + load<uint32_t>(length, 0)};
}

Result<FrameWalker::Walk> FrameWalker::walk_zstd(FrameInfo& frame) {
  uint64_t at = offset_ + kMagicBytes;
  DW_ASSIGN(Bytes descriptor, look(at, 1));
  if (descriptor.empty()) return cut();
  ZstdHeader header(static_cast<uint8_t>(descriptor[0]));
  if (header.reserved) return broken("a frame's header is damaged", offset_);
  if (header.size_bytes == 0)
    return unsupported("a frame that does not tell the size of its content", offset_);
  DW_ASSIGN(Bytes bytes, look(at, header.length()));
  if (bytes.size() < header.length()) return cut();
  frame.content_bytes = load_size(bytes, 1 + header.size_at, header.size_bytes);
  if (header.size_bytes == 2) frame.content_bytes += 256;
  if (frame.content_bytes > kMaxFrameContent)
    return unsupported("a frame with more than 16 MiB of content", offset_);
  DW_ASSIGN(Walk walk, walk_zstd_blocks(at + header.length(), frame));
  if (walk.step == Step::kFrame && header.checksum) walk.at += 4;
  return walk;
}

Result<FrameWalker::Walk> FrameWalker::walk_zstd_blocks(uint64_t at, const FrameInfo& frame) {
  uint64_t least = 0;  // content of the blocks so far
  uint64_t most = 0;
  unsigned empty = 0;
  for (bool last = false; !last;) {
    DW_ASSIGN(Bytes bytes, look(at, 3));
    if (bytes.size() < 3) return cut();
    uint64_t header = load_size(bytes, 0, 3);
    last = (header & 1) != 0;
    unsigned type = header >> 1 & 3;
    uint64_t size = header >> 3;
    constexpr unsigned kRunLength = 1, kCompressed = 2, kReserved = 3;
    if (type == kReserved || size > kMaxZstdBlock) return broken("a block's header is damaged", at);
    if (size == 0 && ++empty > kMaxEmptyBlocks)
      return broken("a frame with too many empty blocks", at);
    least += type == kCompressed ? (size != 0 ? 1 : 0) : size;
    most += type == kCompressed ? kMaxZstdBlock : size;
    if (least > frame.content_bytes) return broken("a frame with more content than it says", at);
    at += 3 + (type == kRunLength ? 1 : size);
  }
  if (most < frame.content_bytes)
    return broken("a frame with less content than it says", frame.offset);
  return Walk{.step = Step::kFrame, .at = at};
}

Result<FrameWalker::Walk> FrameWalker::walk_lz4(FrameInfo& frame) {
  DW_ASSIGN(Bytes header, look(offset_, kLz4HeaderBytes));
  if (header.size() < kLz4HeaderBytes) return cut();
  uint64_t checksum = XXH32(header.data() + kMagicBytes, kLz4HeaderBytes - kMagicBytes - 1, 0);
  // Independent blocks of at most 1 MiB, content size, content checksum (see codec/lz4_frame.h).
  bool ours = header[4] == std::byte{0x6c} && header[5] == std::byte{0x60};
  if (ours && load<uint8_t>(header, 14) != static_cast<uint8_t>(checksum >> 8))
    return broken("a frame's header is damaged", offset_);
  if (!ours) return unsupported("an LZ4 frame that dumpwright did not write", offset_);
  frame.content_bytes = load<uint64_t>(header, 6);
  if (frame.content_bytes > kMaxFrameContent)
    return unsupported("a frame with more than 16 MiB of content", offset_);
  return walk_lz4_blocks(offset_ + kLz4HeaderBytes, frame);
}

// All blocks but the last are full, so their number is known.
Result<FrameWalker::Walk> FrameWalker::walk_lz4_blocks(uint64_t at, const FrameInfo& frame) {
  uint64_t blocks = divide_up(frame.content_bytes, kMaxLz4Block);
  for (uint64_t i = 0;; ++i) {
    DW_ASSIGN(Bytes bytes, look(at, 4));
    if (bytes.size() < 4) return cut();
    uint32_t size = load<uint32_t>(bytes, 0) & 0x7fffffff;
    if (i == blocks && size == 0) return Walk{.step = Step::kFrame, .at = at + 8};
    if (i == blocks || size == 0 || size > kMaxLz4Block)
      return broken("a block's header is damaged", at);
    at += 4 + size;
  }
}

}  // namespace dw
