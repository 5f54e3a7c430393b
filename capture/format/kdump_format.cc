#include "capture/format/kdump_format.h"

#include <limits>

#include "capture/base/checked.h"

namespace dw {

Result<KdumpLayout> make_kdump_layout(uint64_t block_size, uint64_t notes_size, uint64_t max_mapnr,
                                      uint64_t kept_pages) {
  DW_CHECK(kept_pages <= max_mapnr && max_mapnr <= uint64_t{1} << 52);
  KdumpLayout layout;
  layout.block_size = block_size;
  layout.sub_header_offset = block_size;
  layout.notes_offset = layout.sub_header_offset + sizeof(KdumpSubHeader);
  layout.notes_size = notes_size;
  layout.first_bitmap_offset = align_up(layout.notes_offset + notes_size, block_size);
  layout.bitmap_size = align_up(divide_up(max_mapnr, 8), block_size);
  if (2 * layout.bitmap_size / block_size > std::numeric_limits<uint32_t>::max())
    return Error(ErrorKind::kUnsupported, "memory reaches higher than the kdump format can say")
        .at(Where::kPfn, max_mapnr);
  layout.second_bitmap_offset = layout.first_bitmap_offset + layout.bitmap_size;
  layout.descriptors_offset = layout.second_bitmap_offset + layout.bitmap_size;
  layout.descriptor_count = kept_pages;
  layout.data_offset =
      align_up(layout.descriptors_offset + kept_pages * sizeof(PageDescriptor), block_size);
  return layout;
}

}  // namespace dw
