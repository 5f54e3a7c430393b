// libdeflate compressors and decompressors, each in a piece of memory of its own that is there from
// the start. Only for the files of this folder.
// Thread safety: a context belongs to one thread.
#pragma once

#include <libdeflate.h>

#include "capture/base/buffer.h"
#include "capture/base/result.h"

namespace dw {

// Bytes that a compressor of this level takes.
[[nodiscard]] size_t zlib_context_bytes(int level);

// Both allocate `workspace` and make the context inside it; it lives as long as the workspace.
// Error kNoMemory.
Result<libdeflate_compressor*> make_zlib_context(int level, Buffer& workspace);
Result<libdeflate_decompressor*> make_zlib_decompression_context(Buffer& workspace);

}  // namespace dw
