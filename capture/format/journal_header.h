// The header of a dump's journal, from what is known of the crash and of how it is saved.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "capture/codec/compression.h"
#include "capture/format/dump_format.h"
#include "capture/format/kdump_headers.h"
#include "capture/journal/journal_format.h"

namespace dw {

// Tells two crashes apart, and one vmcore from another of the same crash.
[[nodiscard]] uint64_t crash_identity(const KdumpDescription& description);

// `page_size` in bytes.
[[nodiscard]] JournalHeader make_journal_header(const KdumpDescription& description,
                                                DumpFormat format, CompressionOptions compression,
                                                uint64_t page_size);

}  // namespace dw
