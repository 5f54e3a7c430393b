// What other formats need of a kdump file that it does not say in so many words.
// Thread safety: pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/format/kdump_file.h"
#include "capture/format/kdump_headers.h"
#include "capture/source/elf_headers.h"
#include "capture/source/physical_map.h"

namespace dw {

// The dump's ELF notes, and where among them VMCOREINFO stands. A file that has it elsewhere gets a
// note for it.
struct DumpNotes {
  std::vector<std::byte> bytes;
  uint64_t vmcoreinfo_offset = 0;
  uint64_t vmcoreinfo_size = 0;  // 0: none
};
[[nodiscard]] DumpNotes notes_of_dump(const KdumpFile& file);

// The headers of a kdump file with the same pages. Points into `notes`.
[[nodiscard]] KdumpDescription describe_dump(const KdumpFile& file, const DumpNotes& notes,
                                             uint64_t ram_pages);

[[nodiscard]] Machine machine_of(const KdumpFile& file);

// Segments of an ELF core with these page frames. Where the kernel put its image, VMCOREINFO tells;
// the virtual addresses of other memory it does not, so that they are 0.
[[nodiscard]] std::vector<Segment> segments_of(const KdumpFile& file,
                                               std::span<const PfnRange> ranges);

}  // namespace dw
