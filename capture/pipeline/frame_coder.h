// All pages of a batch as one frame: for the stream format, in which larger blocks compress better
// and faster than single pages.
//
// Pages are copied straight to where they are compressed from. The slot of a page that is missing
// is filled with a text (missing_page.h), so that nobody takes it for memory.
#pragma once

#include "capture/base/buffer.h"
#include "capture/codec/frame_compressor.h"
#include "capture/pipeline/batch_coder.h"

namespace dw {

class FrameCoder : public BatchCoder {
 public:
  static Result<std::unique_ptr<BatchCoder>> create(const CodingOptions& options, size_t page_size);
  [[nodiscard]] static size_t memory_bytes(const CodingOptions& options, size_t page_size);
  // The longest frame.
  [[nodiscard]] static size_t data_bytes(size_t page_size);

  void begin(const PlannedBatch&) override { used_ = 0; }
  [[nodiscard]] MutableBytes room(unsigned count) override;
  void add(unsigned count, uint64_t readable, BatchOutput& output) override;
  void finish(BatchOutput& output) override;

 private:
  FrameCoder(FrameCompressor compressor, Buffer pages, size_t page_size)
      : compressor_(std::move(compressor)), pages_(std::move(pages)), page_size_(page_size) {}

  FrameCompressor compressor_;
  Buffer pages_;  // of a whole batch
  size_t page_size_;
  size_t used_ = 0;  // bytes of pages_
};

}  // namespace dw
