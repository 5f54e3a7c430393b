// Pages one by one: zero pages are noted, others compressed, or stored as they are where that does
// not help. For formats in which every page can be read on its own.
#pragma once

#include "capture/base/buffer.h"
#include "capture/pipeline/batch_coder.h"

namespace dw {

class PageCoder : public BatchCoder {
 public:
  static Result<std::unique_ptr<BatchCoder>> create(const CodingOptions& options, size_t page_size);
  [[nodiscard]] static size_t memory_bytes(const CodingOptions& options, size_t page_size);

  void begin(const PlannedBatch&) override {}
  [[nodiscard]] MutableBytes room(unsigned count) override;
  void add(unsigned count, uint64_t readable, BatchOutput& output) override;
  void finish(BatchOutput&) override {}

 private:
  PageCoder(PageCompressor compressor, Buffer pages, size_t page_size, bool share_zero_pages)
      : compressor_(std::move(compressor)),
        pages_(std::move(pages)),
        page_size_(page_size),
        share_zero_pages_(share_zero_pages) {}

  void add_page(Bytes page, BatchOutput& output);

  PageCompressor compressor_;
  Buffer pages_;  // kRunPages of them
  size_t page_size_;
  bool share_zero_pages_;
};

}  // namespace dw
