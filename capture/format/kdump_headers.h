// The two headers of a kdump file, made from what is known of the crash. The kdump writer and the
// stream writer share them.
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/codec/compression.h"
#include "capture/format/kdump_format.h"

namespace dw {

// What the headers say of the crashed system.
struct KdumpDescription {
  UtsName utsname{};
  int64_t crash_seconds = 0;
  uint64_t phys_base = 0;
  unsigned cpu_count = 1;
  int dump_level = 0;
  Compression compression = Compression::kZstd;
  Bytes notes;                     // must outlive the writer
  uint64_t vmcoreinfo_offset = 0;  // within the notes
  uint64_t vmcoreinfo_size = 0;    // 0: none
  uint64_t max_mapnr = 0;
  uint64_t ram_pages = 0;
};

// Of PageDescriptor::flags and KdumpHeader::status; 0 for what the format cannot hold.
[[nodiscard]] uint32_t compression_flag(Compression compression);

// Counts that the header has no room for are given as the largest it has.
[[nodiscard]] KdumpHeader make_kdump_header(const KdumpDescription& description,
                                            const KdumpLayout& layout, uint32_t status);
[[nodiscard]] KdumpSubHeader make_kdump_sub_header(const KdumpDescription& description,
                                                   const KdumpLayout& layout);

}  // namespace dw
