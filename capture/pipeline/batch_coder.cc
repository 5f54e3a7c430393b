#include "capture/pipeline/batch_coder.h"

#include "capture/pipeline/page_coder.h"

namespace dw {

Result<std::unique_ptr<BatchCoder>> make_batch_coder(const CodingOptions& options, size_t page_size,
                                                     const DuplicateIndex* duplicates) {
  DW_CHECK(options.coding == Coding::kPages);
  DW_CHECK(options.share_duplicates == (duplicates != nullptr));
  return PageCoder::create(options, page_size, duplicates);
}

size_t batch_coder_memory_bytes(const CodingOptions& options, size_t page_size) {
  return PageCoder::memory_bytes(options, page_size);
}

size_t batch_data_bytes(const CodingOptions&, size_t page_size) { return kBatchPages * page_size; }

}  // namespace dw
