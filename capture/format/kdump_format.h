// The kdump-compressed format (diskdump header version 6, 64-bit) as it stands on disk.
//
// kdump.md beside this file is the specification and names its sources.
// Thread safety: plain data and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/kernel/utsname.h"

namespace dw {

inline constexpr char kKdumpSignature[8] = {'K', 'D', 'U', 'M', 'P', ' ', ' ', ' '};
inline constexpr int32_t kKdumpVersion = 6;

// Bits of KdumpHeader::status. The compression bits repeat PageDescriptor::flags.
inline constexpr uint32_t kStatusIncomplete = 0x8;

// Bits of PageDescriptor::flags; none set: the page is stored as it is.
inline constexpr uint32_t kPageZlib = 0x1;
inline constexpr uint32_t kPageLzo = 0x2;
inline constexpr uint32_t kPageSnappy = 0x4;
inline constexpr uint32_t kPageZstd = 0x20;

// Block 0.
struct KdumpHeader {
  char signature[8];
  int32_t version;
  UtsName utsname;
  char padding_[6];
  int64_t seconds;       // of the crash, since 1970
  int64_t microseconds;  // 0: a reader that tries the 32-bit layout first must not be misled
  uint32_t status;
  int32_t block_size;  // bytes
  int32_t sub_header_blocks;
  uint32_t bitmap_blocks;  // of both bitmaps together
  uint32_t max_mapnr;      // low 32 bits; the sub header has all
  uint32_t total_ram_blocks;
  uint32_t device_blocks;
  uint32_t written_blocks;
  uint32_t current_cpu;
  int32_t cpu_count;
};
static_assert(offsetof(KdumpHeader, utsname) == 12 && offsetof(KdumpHeader, seconds) == 408 &&
              offsetof(KdumpHeader, status) == 424 && offsetof(KdumpHeader, block_size) == 428 &&
              offsetof(KdumpHeader, bitmap_blocks) == 436 &&
              offsetof(KdumpHeader, cpu_count) == 460 && sizeof(KdumpHeader) == 464);

// Block 1; the ELF notes follow it.
struct KdumpSubHeader {
  uint64_t phys_base;
  int32_t dump_level;
  int32_t split;
  uint64_t start_pfn;
  uint64_t end_pfn;
  uint64_t vmcoreinfo_offset;  // in the file, bytes
  uint64_t vmcoreinfo_size;
  uint64_t notes_offset;
  uint64_t notes_size;
  uint64_t eraseinfo_offset;
  uint64_t eraseinfo_size;
  uint64_t start_pfn_64;
  uint64_t end_pfn_64;
  uint64_t max_mapnr_64;
};
static_assert(sizeof(KdumpSubHeader) == 104 && offsetof(KdumpSubHeader, max_mapnr_64) == 96);

// One per set bit of the second bitmap. All zeros: the page is not in the dump (yet).
struct PageDescriptor {
  uint64_t offset;  // in the file, bytes
  uint32_t size;
  uint32_t flags;
  uint64_t page_flags;
};
static_assert(sizeof(PageDescriptor) == 24);

// PageDescriptor::size, with kPageZstd, of a page that is not there yet (see descriptor_table.h).
// No zstd frame is that short, so every reader refuses it.
inline constexpr uint32_t kUnsettledSize = 1;

// Where the parts of a file stand, in bytes. `bitmap_size` is that of one bitmap.
struct KdumpLayout {
  uint64_t block_size = 4096;
  uint64_t sub_header_offset = 0;
  uint64_t notes_offset = 0;
  uint64_t notes_size = 0;
  uint64_t first_bitmap_offset = 0;
  uint64_t second_bitmap_offset = 0;
  uint64_t bitmap_size = 0;
  uint64_t descriptors_offset = 0;
  uint64_t descriptor_count = 0;
  uint64_t data_offset = 0;

  // Places descriptors and data; the rest of the file does not depend on how many pages are kept.
  void set_descriptor_count(uint64_t count);
};

// All but descriptor_count and data_offset. `max_mapnr` is one past the last page frame. Errors:
// kUnsupported if the format cannot hold it.
Result<KdumpLayout> make_kdump_layout(uint64_t block_size, uint64_t notes_size, uint64_t max_mapnr);

}  // namespace dw
