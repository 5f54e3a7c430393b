#include "capture/format/kdump_headers.h"

#include <algorithm>
#include <limits>

namespace dw {

namespace {

uint32_t saturate(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

uint32_t compression_flag(Compression compression) {
  if (compression == Compression::kZlib) return kPageZlib;
  return compression == Compression::kZstd ? kPageZstd : 0;
}

KdumpHeader make_kdump_header(const KdumpDescription& description, const KdumpLayout& layout,
                              uint32_t status) {
  KdumpHeader header{};
  std::memcpy(header.signature, kKdumpSignature, sizeof(kKdumpSignature));
  header.version = kKdumpVersion;
  header.utsname = description.utsname;
  header.seconds = description.crash_seconds;
  header.status = status;
  header.block_size = static_cast<int32_t>(layout.block_size);
  header.sub_header_blocks = static_cast<int32_t>(
      (layout.first_bitmap_offset - layout.sub_header_offset) / layout.block_size);
  header.bitmap_blocks = static_cast<uint32_t>(2 * layout.bitmap_size / layout.block_size);
  header.max_mapnr = saturate(description.max_mapnr);
  header.total_ram_blocks = saturate(description.ram_pages);
  header.written_blocks = saturate(layout.descriptor_count);
  header.cpu_count = static_cast<int32_t>(std::max(1U, description.cpu_count));
  return header;
}

KdumpSubHeader make_kdump_sub_header(const KdumpDescription& description,
                                     const KdumpLayout& layout) {
  KdumpSubHeader sub{};
  sub.phys_base = description.phys_base;
  sub.dump_level = description.dump_level;
  if (description.vmcoreinfo_size > 0) {
    sub.vmcoreinfo_offset = layout.notes_offset + description.vmcoreinfo_offset;
    sub.vmcoreinfo_size = description.vmcoreinfo_size;
  }
  if (layout.notes_size > 0) {
    sub.notes_offset = layout.notes_offset;
    sub.notes_size = layout.notes_size;
  }
  sub.max_mapnr_64 = description.max_mapnr;
  return sub;
}

}  // namespace dw
