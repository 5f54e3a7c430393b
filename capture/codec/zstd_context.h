// zstd contexts, each in a piece of memory of its own, which is all that it ever takes: nothing is
// allocated while compressing or decompressing. Only for the files of this folder.
// Thread safety: a context belongs to one thread.
#pragma once

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <array>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/result.h"

namespace dw {

struct ZstdSetting {
  ZSTD_cParameter parameter;
  int value;
};
using ZstdSettings = std::span<const ZstdSetting>;

// The library's own parameters of a level, for contents of up to `content_size` bytes. All of them
// are named, so that a smaller content cannot choose larger tables than there is room for.
[[nodiscard]] std::array<ZstdSetting, 7> zstd_level_settings(int level, size_t content_size);

// Bytes that a compression context with these settings takes.
[[nodiscard]] size_t zstd_context_bytes(ZstdSettings settings);

// Both allocate `workspace` and make the context inside it; it lives as long as the workspace.
// Frames carry the content size and a checksum, whatever the settings. Error kNoMemory.
Result<ZSTD_CCtx*> make_zstd_context(ZstdSettings settings, Buffer& workspace);
Result<ZSTD_DCtx*> make_zstd_decompression_context(Buffer& workspace);

}  // namespace dw
