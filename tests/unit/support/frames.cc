#include "tests/unit/support/frames.h"

#include <zstd.h>

#include <optional>
#include <utility>

#include "capture/codec/frame_decompressor.h"
#include "capture/format/stream_format.h"

namespace dw::test {

namespace {

// Where the frame at the beginning of `file` ends, and how much content it has. Nothing if it is
// not whole.
struct Extent {
  uint64_t length;
  uint64_t content;
};

std::optional<Extent> lz4_extent(Bytes file) {
  // Magic, FLG, BD, content size, header checksum; then blocks.
  if (file.size() < 15) return std::nullopt;
  uint64_t at = 15;
  for (uint32_t block = 1; block != 0; at += 4 + (block & 0x7fffffff)) {
    if (at > file.size() || file.size() - at < 4) return std::nullopt;
    block = load<uint32_t>(file, at);
  }
  if (at + 4 > file.size()) return std::nullopt;
  return Extent{.length = at + 4, .content = load<uint64_t>(file, 6)};
}

std::optional<Extent> extent_of(Bytes file) {
  if (file.size() < 8) return std::nullopt;
  uint32_t magic = load<uint32_t>(file, 0);
  if (magic == kLz4FrameMagic) return lz4_extent(file);
  size_t length = ZSTD_findFrameCompressedSize(file.data(), file.size());
  if (ZSTD_isError(length) != 0) return std::nullopt;
  bool skippable = (magic & kSkippableMask) == kSkippableMagic;
  uint64_t content = skippable ? 0 : ZSTD_getFrameContentSize(file.data(), file.size());
  return Extent{.length = length, .content = content};
}

bool decompress(Bytes frame, Frame& into) {
  if ((into.magic & kSkippableMask) == kSkippableMagic) return true;
  Compression codec = into.magic == kLz4FrameMagic ? Compression::kLz4 : Compression::kZstd;
  static FrameDecompressor zstd = std::move(FrameDecompressor::create(Compression::kZstd).value());
  static FrameDecompressor lz4 = std::move(FrameDecompressor::create(Compression::kLz4).value());
  return (codec == Compression::kLz4 ? lz4 : zstd).decompress(frame, into.content).ok();
}

}  // namespace

std::vector<Frame> whole_frames(Bytes file) {
  std::vector<Frame> frames;
  for (uint64_t at = 0; at < file.size();) {
    Bytes rest = file.subspan(at);
    std::optional<Extent> extent = extent_of(rest);
    if (!extent || extent->content > kMaxFrameBytes) break;
    Frame frame{
        .offset = at, .length = extent->length, .magic = load<uint32_t>(rest, 0), .content = {}};
    frame.content.resize(extent->content);
    if (!decompress(rest.first(extent->length), frame)) break;
    at += extent->length;
    frames.push_back(std::move(frame));
  }
  return frames;
}

std::vector<std::byte> content_of(const std::vector<Frame>& frames) {
  std::vector<std::byte> content;
  for (const Frame& frame : frames)
    content.insert(content.end(), frame.content.begin(), frame.content.end());
  return content;
}

namespace {
[[noreturn]] void not_on_a_pipe() { check_failed("only appends", __FILE_NAME__, __LINE__); }
}  // namespace

Status AppendTarget::preallocate(uint64_t, uint64_t) { not_on_a_pipe(); }

Status AppendTarget::write_at(uint64_t offset, Bytes bytes) {
  DW_CHECK(offset == content().size());
  return MemoryTarget::write_at(offset, bytes);
}

Status AppendTarget::read_at(uint64_t, MutableBytes) { not_on_a_pipe(); }
Status AppendTarget::append_sums(Bytes) { not_on_a_pipe(); }
Status AppendTarget::read_sums(uint64_t, MutableBytes) { not_on_a_pipe(); }

}  // namespace dw::test
