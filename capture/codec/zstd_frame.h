// zstd frames (RFC 8878) beyond what the library's one-shot calls give: frames of raw blocks, and
// reading exactly one frame. Only for the files of this folder.
// Thread safety: pure, but for the context, which belongs to one thread.
#pragma once

#include "capture/base/bytes.h"

struct ZSTD_DCtx_s;

namespace dw {

// Upper bound of what write_stored_zstd_frame() writes; content of at most 4 GiB - 1.
[[nodiscard]] size_t stored_zstd_frame_size(size_t content_size);

// A frame whose blocks are all raw, with content size and checksum. Returns its length, which
// depends on nothing but the content's.
size_t write_stored_zstd_frame(Bytes content, MutableBytes out);

// Whether `frame`, which is untrusted, is exactly one frame of exactly content.size() bytes, which
// it then has filled in; a checksum, if it has one, is right.
[[nodiscard]] bool read_zstd_frame(ZSTD_DCtx_s* context, Bytes frame, MutableBytes content);

}  // namespace dw
