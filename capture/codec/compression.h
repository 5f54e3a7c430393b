// Which compression, at which level: as the user names it, for pages (kdump) and for frames
// (stream). Thread safety: plain values.
#pragma once

#include <cstdint>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

enum class Compression : uint8_t { kNone, kZstd, kLz4, kZlib };

// Levels grow with the effort and are never 0; README.md says what each gives.
//   zstd  -50..22   1: smaller than the levels below it; negative ones are the fast ones
//   lz4   -50..1    1: its fast compressor; -N: with an acceleration of N + 1
//   zlib    1..12   of libdeflate
struct CompressionOptions {
  Compression compression = Compression::kZstd;
  int level = 1;

  friend bool operator==(const CompressionOptions&, const CompressionOptions&) = default;
};

// "none", or "zstd", "lz4" or "zlib", each with ":LEVEL" or without. Error kUsage.
Result<CompressionOptions> parse_compression(std::string_view text);
[[nodiscard]] std::string_view name_of(Compression compression);

}  // namespace dw
