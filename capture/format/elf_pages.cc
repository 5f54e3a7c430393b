#include "capture/format/elf_pages.h"

#include "capture/codec/zero.h"

namespace dw {

Result<ElfPages> ElfPages::create(const ElfLayout& layout) {
  DW_ASSIGN(Buffer buffer, Buffer::allocate(kReadPages * layout.page_size()));
  return ElfPages(layout, std::move(buffer));
}

void ElfPages::add(uint64_t first_pfn, Bytes pages, RunningDigest& digest,
                   ChunkBits& stored) const {
  for (size_t at = 0; at < pages.size(); at += layout_->page_size(), ++first_pfn) {
    Bytes page = pages.subspan(at, layout_->page_size());
    if (is_zero(page)) continue;
    digest.add(page);
    uint64_t bit = first_pfn % kChunkPages;
    stored[bit / 64] |= uint64_t{1} << bit % 64;
  }
}

}  // namespace dw
