// Writes the seek table of a zstd stream, from what the journal says of its frames.
//
// Source: contrib/seekable_format/zstd_seekable_compression_format.md of zstd.
// Thread safety: one thread.
#pragma once

#include "capture/base/result.h"
#include "capture/format/frame_file.h"
#include "capture/target/target.h"

namespace dw {

// Behind the last frame, when the records of all of them were flushed to the target. A stream with
// more frames than the format can list gets none. Error kIo if the journal does not read back as
// it was written.
Status write_seek_table(Target& target, FrameFile& file);

// What its records take in the journal at most, for so many frames.
[[nodiscard]] uint64_t seek_table_journal_bytes(uint64_t frames);

}  // namespace dw
