#include "capture/pipeline/batch_coder.h"

#include "capture/pipeline/frame_coder.h"
#include "capture/pipeline/page_coder.h"

namespace dw {

Result<std::unique_ptr<BatchCoder>> make_batch_coder(const CodingOptions& options, size_t page_size,
                                                     const DuplicateIndex* duplicates) {
  DW_CHECK(options.share_duplicates == (duplicates != nullptr));
  if (options.coding == Coding::kPages) return PageCoder::create(options, page_size, duplicates);
  DW_CHECK(!options.share_duplicates);
  return FrameCoder::create(options, page_size);
}

size_t batch_coder_memory_bytes(const CodingOptions& options, size_t page_size) {
  return options.coding == Coding::kPages ? PageCoder::memory_bytes(options, page_size)
                                          : FrameCoder::memory_bytes(options, page_size);
}

size_t batch_data_bytes(const CodingOptions& options, size_t page_size) {
  return options.coding == Coding::kPages ? kBatchPages * page_size
                                          : FrameCoder::data_bytes(page_size);
}

}  // namespace dw
