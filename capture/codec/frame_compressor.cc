#include "capture/codec/frame_compressor.h"

#include <algorithm>
#include <vector>

#include "capture/codec/lz4_frame.h"
#include "capture/codec/zstd_context.h"
#include "capture/codec/zstd_frame.h"

namespace dw {

namespace {

constexpr size_t kLargestContent = size_t{1} << 30;

std::vector<ZstdSetting> frame_settings(int level, size_t max_content) {
  auto of_level = zstd_level_settings(level, max_content);
  std::vector<ZstdSetting> settings(of_level.begin(), of_level.end());
  // Half of what the context takes for literals and sequences, and frames become smaller.
  settings.push_back({ZSTD_c_maxBlockSize, 64 << 10});
  // Later settings win. Half the library's table stays in the first cache beside the content: a
  // twentieth faster for 1.3 % of size (README.md).
  if (level == 1) settings.push_back({ZSTD_c_hashLog, 13});
  return settings;
}

}  // namespace

Result<FrameCompressor> FrameCompressor::create(CompressionOptions options, size_t max_content) {
  DW_CHECK(max_content <= kLargestContent);
  FrameCompressor made(options, max_content);
  switch (options.compression) {
    case Compression::kNone:
      break;
    case Compression::kZstd: {
      DW_ASSIGN(made.zstd_,
                make_zstd_context(frame_settings(options.level, max_content), made.workspace_));
      break;
    }
    case Compression::kLz4: {
      DW_ASSIGN(made.workspace_, Buffer::allocate(lz4_state_bytes()));
      break;
    }
    case Compression::kZlib:
      return Error(ErrorKind::kUsage, "zlib is not possible in the stream format")
          .hint("use --compress zstd or lz4, or --format kdump");
  }
  return made;
}

size_t FrameCompressor::compress(Bytes content, MutableBytes out) {
  DW_CHECK(content.size() <= max_content_ && out.size() >= bound(content.size()));
  if (options_.compression == Compression::kLz4)
    return write_lz4_frame(content, out, workspace_.data(), 1 - std::min(options_.level, 0));
  if (zstd_ == nullptr) return store(content, out);
  // A frame that comes out longer than a stored one is not worth reading.
  size_t limit = stored_zstd_frame_size(content.size());
  size_t n = ZSTD_compress2(zstd_, out.data(), limit, content.data(), content.size());
  return ZSTD_isError(n) != 0 ? store(content, out) : n;
}

size_t FrameCompressor::store(Bytes content, MutableBytes out) {
  DW_CHECK(content.size() <= kLargestContent && out.size() >= bound(content.size()));
  if (options_.compression == Compression::kLz4) return write_lz4_frame(content, out, nullptr, 0);
  return write_stored_zstd_frame(content, out);
}

size_t FrameCompressor::bound(size_t content_size) {
  return std::max(stored_zstd_frame_size(content_size), lz4_frame_bound(content_size));
}

size_t FrameCompressor::memory_bytes(CompressionOptions options, size_t max_content) {
  if (options.compression == Compression::kZstd)
    return zstd_context_bytes(frame_settings(options.level, max_content));
  return options.compression == Compression::kLz4 ? lz4_state_bytes() : 0;
}

}  // namespace dw
