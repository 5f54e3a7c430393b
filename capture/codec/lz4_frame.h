// LZ4 frames, as described in lz4_Frame_format.md (version 1.6.4) of the lz4 project: blocks of
// 1 MiB that do not depend on each other, with content size and content checksum.
//
// Written here and not by the library's frame functions, which allocate while they work.
// Only for the files of this folder. Thread safety: pure, but for the state.
#pragma once

#include "capture/base/bytes.h"

namespace dw {

// Upper bound of what write_lz4_frame() writes.
[[nodiscard]] size_t lz4_frame_bound(size_t content_size);

// Bytes of the state that compressing needs, aligned to 8.
[[nodiscard]] size_t lz4_state_bytes();

// One frame; returns its length. Blocks that do not shrink are stored raw; without a state all are,
// and the length depends on nothing but the content's.
size_t write_lz4_frame(Bytes content, MutableBytes out, void* state, int acceleration);

// Whether `frame`, which is untrusted, is exactly one frame such as write_lz4_frame() makes, of
// exactly content.size() bytes, which it then has filled in, and its checksum is right.
[[nodiscard]] bool read_lz4_frame(Bytes frame, MutableBytes content);

}  // namespace dw
