#include "capture/format/kdump_format.h"

#include <limits>

#include "capture/base/checked.h"

namespace dw {

Result<KdumpLayout> make_kdump_layout(uint64_t block_size, uint64_t notes_size,
                                      uint64_t max_mapnr) {
  DW_CHECK(max_mapnr <= uint64_t{1} << 52);
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
  return layout;
}

void KdumpLayout::set_descriptor_count(uint64_t count) {
  DW_CHECK(count <= bitmap_size * 8);
  descriptor_count = count;
  data_offset = align_up(descriptors_offset + count * sizeof(PageDescriptor), block_size);
}

}  // namespace dw
