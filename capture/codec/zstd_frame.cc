#include "capture/codec/zstd_frame.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "capture/base/checked.h"

namespace dw {

namespace {

// RFC 8878, 3.1.1: magic number, descriptor, content size of 4 bytes.
constexpr uint32_t kMagic = 0xfd2fb528;
constexpr size_t kHeaderSize = 9;
// Content size of 4 bytes (2 << 6), single segment (1 << 5), checksum (1 << 2).
constexpr uint8_t kDescriptor = 0xa4;
constexpr size_t kChecksumSize = 4;

constexpr size_t kBlockHeaderSize = 3;
constexpr size_t kMaxBlockSize = size_t{128} << 10;
constexpr uint32_t kLastBlock = 1;

size_t block_count(size_t content_size) {
  return std::max<size_t>(1, divide_up(content_size, kMaxBlockSize));
}

size_t write_raw_block(Bytes content, bool last, MutableBytes out) {
  uint32_t header = static_cast<uint32_t>(content.size() << 3) | (last ? kLastBlock : 0);
  DW_CHECK(out.size() >= kBlockHeaderSize + content.size());
  std::memcpy(out.data(), &header, kBlockHeaderSize);
  if (!content.empty()) std::memcpy(out.data() + kBlockHeaderSize, content.data(), content.size());
  return kBlockHeaderSize + content.size();
}

}  // namespace

size_t stored_zstd_frame_size(size_t content_size) {
  return kHeaderSize + block_count(content_size) * kBlockHeaderSize + content_size + kChecksumSize;
}

size_t write_stored_zstd_frame(Bytes content, MutableBytes out) {
  DW_CHECK(content.size() <= std::numeric_limits<uint32_t>::max());
  store(out, 0, kMagic);
  store(out, 4, kDescriptor);
  store(out, 5, static_cast<uint32_t>(content.size()));
  size_t at = kHeaderSize;
  Bytes rest = content;
  for (bool last = false; !last;) {
    Bytes block = rest.first(std::min(rest.size(), kMaxBlockSize));
    rest = rest.subspan(block.size());
    last = rest.empty();
    at += write_raw_block(block, last, out.subspan(at));
  }
  store(out, at, static_cast<uint32_t>(XXH64(content.data(), content.size(), 0)));
  return at + kChecksumSize;
}

bool read_zstd_frame(ZSTD_DCtx_s* context, Bytes frame, MutableBytes content) {
  // The library itself would take several frames, and skip some.
  if (frame.size() < sizeof(kMagic) || load<uint32_t>(frame, 0) != kMagic) return false;
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) return false;
  size_t n =
      ZSTD_decompressDCtx(context, content.data(), content.size(), frame.data(), frame.size());
  return ZSTD_isError(n) == 0 && n == content.size();
}

}  // namespace dw
