#include "capture/pipeline/frame_coder.h"

#include "capture/codec/zero.h"
#include "capture/pipeline/missing_page.h"

namespace dw {

Result<std::unique_ptr<BatchCoder>> FrameCoder::create(const CodingOptions& options,
                                                       size_t page_size) {
  size_t batch_size = kBatchPages * page_size;
  DW_ASSIGN(FrameCompressor compressor, FrameCompressor::create(options.compression, batch_size));
  DW_ASSIGN(Buffer pages, Buffer::allocate(batch_size));
  return std::unique_ptr<BatchCoder>(
      new FrameCoder(std::move(compressor), std::move(pages), page_size));
}

size_t FrameCoder::memory_bytes(const CodingOptions& options, size_t page_size) {
  size_t batch_size = kBatchPages * page_size;
  return batch_size + FrameCompressor::memory_bytes(options.compression, batch_size);
}

size_t FrameCoder::data_bytes(size_t page_size) {
  return FrameCompressor::bound(kBatchPages * page_size);
}

MutableBytes FrameCoder::room(unsigned count) {
  return pages_.bytes().subspan(used_, count * page_size_);
}

void FrameCoder::add(unsigned count, uint64_t readable, BatchOutput& output) {
  for (unsigned i = 0; i < count; ++i, used_ += page_size_) {
    MutableBytes page = pages_.bytes().subspan(used_, page_size_);
    PageRecord record{.size = static_cast<uint32_t>(page_size_), .state = PageState::kStored};
    if ((readable >> i & 1) == 0) {
      record = {};
      fill_missing_page(page);
    } else if (is_zero(page)) {
      record.state = PageState::kZero;  // for the report; it has its slot like any other
    }
    output.add(record);
  }
}

void FrameCoder::finish(BatchOutput& output) {
  Bytes pages = std::as_const(pages_).bytes().first(used_);
  output.use(compressor_.compress(pages, output.room()));
}

}  // namespace dw
