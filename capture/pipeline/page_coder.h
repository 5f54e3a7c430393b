// Pages one by one: zero pages are noted, those with the bytes of an earlier page share its place,
// others are compressed, or stored as they are where that does not help. For formats in which every
// page can be read on its own.
#pragma once

#include <array>

#include "capture/base/buffer.h"
#include "capture/pipeline/batch_coder.h"

namespace dw {

class PageCoder : public BatchCoder {
 public:
  static Result<std::unique_ptr<BatchCoder>> create(const CodingOptions& options, size_t page_size,
                                                    const DuplicateIndex* duplicates);
  [[nodiscard]] static size_t memory_bytes(const CodingOptions& options, size_t page_size);

  void begin(const PlannedBatch& batch) override;
  [[nodiscard]] MutableBytes room(unsigned count) override;
  void add(unsigned count, uint64_t readable, BatchOutput& output) override;
  void finish(BatchOutput&) override {}

 private:
  PageCoder(PageCompressor compressor, Buffer pages, const CodingOptions& options, size_t page_size,
            const DuplicateIndex* duplicates)
      : compressor_(std::move(compressor)),
        pages_(std::move(pages)),
        options_(options),
        page_size_(page_size),
        duplicates_(duplicates) {}

  void add_page(Bytes page, BatchOutput& output);
  // Adds the page if its bytes are there already.
  bool add_duplicate(const PageHash& hash, BatchOutput& output);
  void store_page(Bytes page, const PageHash& hash, BatchOutput& output);

  PageCompressor compressor_;
  Buffer pages_;  // kRunPages of them
  CodingOptions options_;
  size_t page_size_;
  const DuplicateIndex* duplicates_;
  uint64_t sequence_ = 0;
  // By hash: 1 + the record of a stored page of this batch.
  std::array<uint16_t, 1024> stored_here_{};
};

}  // namespace dw
