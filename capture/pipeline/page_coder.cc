#include "capture/pipeline/page_coder.h"

#include <algorithm>

#include "capture/codec/zero.h"

namespace dw {

Result<std::unique_ptr<BatchCoder>> PageCoder::create(const CodingOptions& options,
                                                      size_t page_size) {
  DW_ASSIGN(PageCompressor compressor, PageCompressor::create(options.compression, page_size));
  DW_ASSIGN(Buffer pages, Buffer::allocate(kRunPages * page_size));
  return std::unique_ptr<BatchCoder>(
      new PageCoder(std::move(compressor), std::move(pages), page_size, options.share_zero_pages));
}

size_t PageCoder::memory_bytes(const CodingOptions& options, size_t page_size) {
  return kRunPages * page_size + PageCompressor::memory_bytes(options.compression, page_size);
}

MutableBytes PageCoder::room(unsigned count) { return pages_.bytes().first(count * page_size_); }

void PageCoder::add(unsigned count, uint64_t readable, BatchOutput& output) {
  Bytes pages = pages_.bytes();
  for (unsigned i = 0; i < count; ++i) {
    if ((readable >> i & 1) == 0)
      output.add({.state = PageState::kMissing});
    else
      add_page(pages.subspan(i * page_size_, page_size_), output);
  }
}

void PageCoder::add_page(Bytes page, BatchOutput& output) {
  if (share_zero_pages_ && is_zero(page)) {
    output.add({.state = PageState::kZero});
    return;
  }
  MutableBytes room = output.room();
  size_t size = compressor_.compress(page, room.first(page.size()));
  if (size == 0) {
    std::ranges::copy(page, room.begin());
    size = page.size();
  }
  output.add({.size = static_cast<uint32_t>(size),
              .state = PageState::kStored,
              .where = output.data().size()});
  output.use(size);
}

}  // namespace dw
