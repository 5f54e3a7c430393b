#include "capture/codec/lz4_frame.h"

#include <lz4.h>
#include <xxhash.h>

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint32_t kMagic = 0x184d2204;
// Version 1 (1 << 6), independent blocks (1 << 5), content size (1 << 3), content checksum (1 <<
// 2).
constexpr uint8_t kFlags = 0x6c;
// Blocks of at most 1 MiB (6 << 4).
constexpr uint8_t kBlockDescriptor = 0x60;
constexpr size_t kMaxBlockSize = size_t{1} << 20;

constexpr size_t kDescriptorOffset = 4;
constexpr size_t kContentSizeOffset = 6;
constexpr size_t kHeaderChecksumOffset = 14;
constexpr size_t kHeaderSize = 15;
constexpr size_t kBlockHeaderSize = 4;
constexpr uint32_t kRawBlock = uint32_t{1} << 31;
constexpr size_t kEndSize = 8;  // end mark and content checksum

void write_header(uint64_t content_size, MutableBytes out) {
  store(out, 0, kMagic);
  store(out, kDescriptorOffset, kFlags);
  store(out, kDescriptorOffset + 1, kBlockDescriptor);
  store(out, kContentSizeOffset, content_size);
  uint32_t checksum =
      XXH32(out.data() + kDescriptorOffset, kHeaderChecksumOffset - kDescriptorOffset, 0);
  store(out, kHeaderChecksumOffset, static_cast<uint8_t>(checksum >> 8));
}

// 0: does not shrink.
size_t compress_block(Bytes content, MutableBytes out, void* state, int acceleration) {
  if (state == nullptr) return 0;
  int n = LZ4_compress_fast_extState(
      state, reinterpret_cast<const char*>(content.data()), reinterpret_cast<char*>(out.data()),
      static_cast<int>(content.size()), static_cast<int>(content.size() - 1), acceleration);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

size_t write_block(Bytes content, MutableBytes out, void* state, int acceleration) {
  MutableBytes data = out.subspan(kBlockHeaderSize);
  DW_CHECK(data.size() >= content.size());
  size_t n = compress_block(content, data, state, acceleration);
  if (n == 0) std::memcpy(data.data(), content.data(), content.size());
  store(out, 0,
        n != 0 ? static_cast<uint32_t>(n) : kRawBlock | static_cast<uint32_t>(content.size()));
  return kBlockHeaderSize + (n != 0 ? n : content.size());
}

bool read_block(Bytes stored, bool raw, MutableBytes content) {
  if (!raw)
    return LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data()),
                               reinterpret_cast<char*>(content.data()),
                               static_cast<int>(stored.size()), static_cast<int>(content.size())) ==
           static_cast<int>(content.size());
  if (stored.size() != content.size()) return false;
  std::memcpy(content.data(), stored.data(), stored.size());
  return true;
}

bool header_is_ours(Bytes frame, size_t content_size) {
  std::byte expected[kHeaderSize];
  write_header(content_size, expected);
  return frame.size() >= kHeaderSize && std::memcmp(frame.data(), expected, kHeaderSize) == 0;
}

}  // namespace

size_t lz4_frame_bound(size_t content_size) {
  return kHeaderSize + divide_up(content_size, kMaxBlockSize) * kBlockHeaderSize + content_size +
         kEndSize;
}

size_t lz4_state_bytes() { return static_cast<size_t>(LZ4_sizeofState()); }

size_t write_lz4_frame(Bytes content, MutableBytes out, void* state, int acceleration) {
  write_header(content.size(), out);
  size_t at = kHeaderSize;
  for (Bytes rest = content; !rest.empty();) {
    Bytes block = rest.first(std::min(rest.size(), kMaxBlockSize));
    rest = rest.subspan(block.size());
    at += write_block(block, out.subspan(at), state, acceleration);
  }
  store(out, at, uint32_t{0});
  store(out, at + 4, static_cast<uint32_t>(XXH32(content.data(), content.size(), 0)));
  return at + kEndSize;
}

bool read_lz4_frame(Bytes frame, MutableBytes content) {
  if (!header_is_ours(frame, content.size())) return false;
  Bytes rest = frame.subspan(kHeaderSize);
  for (MutableBytes left = content; !left.empty();) {
    MutableBytes block = left.first(std::min(left.size(), kMaxBlockSize));
    left = left.subspan(block.size());
    if (rest.size() < kBlockHeaderSize) return false;
    uint32_t header = load<uint32_t>(rest, 0);
    size_t size = header & ~kRawBlock;
    rest = rest.subspan(kBlockHeaderSize);
    if (size == 0 || size > block.size() || size > rest.size()) return false;
    if (!read_block(rest.first(size), (header & kRawBlock) != 0, block)) return false;
    rest = rest.subspan(size);
  }
  return rest.size() == kEndSize && load<uint32_t>(rest, 0) == 0 &&
         load<uint32_t>(rest, 4) == XXH32(content.data(), content.size(), 0);
}

}  // namespace dw
