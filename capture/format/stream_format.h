// The stream format as it stands on disk: the frames that are ours, and the magic numbers of those
// that are not.
//
// stream.md beside this file is the specification and names its sources.
// Thread safety: plain data and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "capture/base/bytes.h"

namespace dw {

inline constexpr uint32_t kZstdFrameMagic = 0xfd2fb528;
inline constexpr uint32_t kLz4FrameMagic = 0x184d2204;
// Frames of both formats that decompressors pass over; the low four bits are free.
inline constexpr uint32_t kSkippableMagic = 0x184d2a50;
inline constexpr uint32_t kSkippableMask = 0xfffffff0;
inline constexpr uint32_t kMissingMarkMagic = 0x184d2a5c;
inline constexpr uint32_t kClosingMagic = 0x184d2a5d;
// The seek table of zstd's seekable format.
inline constexpr uint32_t kSeekTableMagic = 0x184d2a5e;
inline constexpr uint32_t kSeekTableFooterMagic = 0x8f92eab1;
inline constexpr size_t kSkippableHeaderBytes = 8;  // magic, length of what follows

// Of the content of one frame.
inline constexpr size_t kMaxFrameBytes = 1 << 20;
inline constexpr unsigned kMaxFrameSlots = 256;

// Stands behind a frame of pages some of which could not be read.
struct MissingMark {
  uint32_t magic = kMissingMarkMagic;
  uint32_t length = 40;
  char signature[8] = {'D', 'W', 'M', 'I', 'S', 'S', '\0', '\0'};
  uint8_t slots[kMaxFrameSlots / 8] = {};  // a bit per slot, least significant first
};
static_assert(sizeof(MissingMark) == 48);

inline constexpr uint32_t kClosingVersion = 2;
inline constexpr uint32_t kClosingWhole = 1;  // flag: every page of the plan is there

struct ClosingFrame {
  uint32_t magic = kClosingMagic;
  uint32_t length = 56;
  char signature[8] = {'D', 'W', 'C', 'L', 'O', 'S', 'E', '\0'};
  uint32_t version = kClosingVersion;
  uint32_t flags = 0;
  uint64_t content_bytes = 0;
  uint64_t frames = 0;
  uint64_t missing_pages = 0;
  uint64_t digest = 0;  // of the digests of the frames between the first and this one
  uint64_t check = 0;   // closing_check()
};
static_assert(sizeof(ClosingFrame) == 64 && offsetof(ClosingFrame, content_bytes) == 24 &&
              offsetof(ClosingFrame, check) == 56);

// XXH3-64 of what stands between the frame's length and its check.
[[nodiscard]] uint64_t closing_check(const ClosingFrame& frame);

}  // namespace dw
