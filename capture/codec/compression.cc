#include "capture/codec/compression.h"

#include <charconv>
#include <optional>

namespace dw {

namespace {

struct Codec {
  std::string_view name;
  Compression compression;
  int min_level;
  int max_level;
  const char* hint;
};

constexpr Codec kCodecs[] = {
    {"zstd", Compression::kZstd, -50, 22, "use zstd:LEVEL with a level from -50 to 22, not 0"},
    {"lz4", Compression::kLz4, -50, 1, "use lz4:LEVEL with a level from -50 (fastest) to 1, not 0"},
    {"zlib", Compression::kZlib, 1, 12, "use zlib:LEVEL with a level from 1 to 12"},
};

std::optional<int> parse_level(std::string_view text) {
  int level = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return level;
}

}  // namespace

Result<CompressionOptions> parse_compression(std::string_view text) {
  if (text == "none") return CompressionOptions{.compression = Compression::kNone};
  size_t colon = text.find(':');
  for (const Codec& codec : kCodecs) {
    if (text.substr(0, colon) != codec.name) continue;
    CompressionOptions options{.compression = codec.compression};
    if (colon == std::string_view::npos) return options;
    std::optional<int> level = parse_level(text.substr(colon + 1));
    if (!level || *level == 0 || *level < codec.min_level || *level > codec.max_level)
      return Error(ErrorKind::kUsage, "no such compression level").on(text).hint(codec.hint);
    options.level = *level;
    return options;
  }
  return Error(ErrorKind::kUsage, "no such compression")
      .on(text)
      .hint("use zstd, lz4 or zlib, each with :LEVEL or without, or none");
}

std::string_view name_of(Compression compression) {
  if (compression == Compression::kNone) return "none";
  for (const Codec& codec : kCodecs)
    if (codec.compression == compression) return codec.name;
  return "unknown";
}

}  // namespace dw
