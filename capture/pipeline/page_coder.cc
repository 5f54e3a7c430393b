#include "capture/pipeline/page_coder.h"

#include <cstring>

#include "capture/codec/zero.h"

namespace dw {

Result<std::unique_ptr<BatchCoder>> PageCoder::create(const CodingOptions& options,
                                                      size_t page_size,
                                                      const DuplicateIndex* duplicates) {
  DW_ASSIGN(PageCompressor compressor, PageCompressor::create(options.compression, page_size));
  DW_ASSIGN(Buffer pages, Buffer::allocate(kRunPages * page_size));
  return std::unique_ptr<BatchCoder>(
      new PageCoder(std::move(compressor), std::move(pages), options, page_size, duplicates));
}

size_t PageCoder::memory_bytes(const CodingOptions& options, size_t page_size) {
  return kRunPages * page_size + PageCompressor::memory_bytes(options.compression, page_size);
}

void PageCoder::begin(const PlannedBatch& batch) {
  sequence_ = batch.sequence();
  stored_here_.fill(0);
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
  if (options_.share_zero_pages && is_zero(page)) {
    output.add({.state = PageState::kZero});
    return;
  }
  PageHash hash;
  if (options_.share_duplicates) {
    hash = hash_of(page, options_.hash_seed);
    if (add_duplicate(hash, output)) return;
  }
  store_page(page, hash, output);
}

bool PageCoder::add_duplicate(const PageHash& hash, BatchOutput& output) {
  uint16_t& here = stored_here_[hash.high % stored_here_.size()];
  if (here != 0 && output.hash(here - 1U) == hash) {
    const PageRecord& same = output.records()[here - 1U];
    output.add({.size = same.size, .state = PageState::kSame, .where = same.where});
    return true;
  }
  if (std::optional<DuplicateIndex::Place> place = duplicates_->find(sequence_, hash)) {
    output.add({.size = place->size, .state = PageState::kEarlier, .where = place->where});
    return true;
  }
  here = static_cast<uint16_t>(output.records().size() + 1);
  return false;
}

void PageCoder::store_page(Bytes page, const PageHash& hash, BatchOutput& output) {
  MutableBytes room = output.room();
  size_t size = compressor_.compress(page, room.first(page.size()));
  if (size == 0) {
    std::memcpy(room.data(), page.data(), page.size());
    size = page.size();
  }
  PageRecord record{.size = static_cast<uint32_t>(size),
                    .state = PageState::kStored,
                    .where = output.data().size()};
  output.add(record, hash);
  output.use(size);
}

}  // namespace dw
