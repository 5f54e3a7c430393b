#include "capture/pipeline/chunk_worker.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "capture/codec/zero.h"
#include "capture/plan/presence.h"

namespace dw {

namespace {

// Pages that are copied at once: large enough to make the call cheap, small enough to stay in the
// second-level cache until they are compressed.
constexpr unsigned kRunPages = 32;

// The lowest run of set bits at or after `from`, cut at kRunPages; empty if there is none.
struct Run {
  unsigned begin;
  unsigned count;
};

bool test(Bytes bits, unsigned bit) {
  return (bits[bit / 8] & std::byte{1} << (bit % 8)) != std::byte{0};
}

Run next_run(Bytes bits, unsigned from) {
  unsigned end = static_cast<unsigned>(bits.size() * 8);
  while (from < end && !test(bits, from)) ++from;
  Run run{.begin = from, .count = 0};
  while (from < end && run.count < kRunPages && test(bits, from)) ++from, ++run.count;
  return run;
}

}  // namespace

PageCounts& PageCounts::operator+=(const PageCounts& other) {
  stored += other.stored;
  zero += other.zero;
  missing += other.missing;
  return *this;
}

Result<ChunkOutput> ChunkOutput::create(uint64_t page_size) {
  ChunkOutput output;
  DW_ASSIGN(output.buffer_, Buffer::allocate(kChunkPages * page_size));
  return output;
}

void ChunkOutput::clear() {
  data_size_ = 0;
  record_count_ = 0;
  counts_ = {};
}

MutableBytes ChunkOutput::room(uint64_t page_size) {
  return buffer_.bytes().subspan(data_size_, page_size);
}

void ChunkOutput::add(PageRecord record) {
  DW_CHECK(record_count_ < records_.size());
  records_[record_count_++] = record;
  switch (record.state) {
    case PageState::kStored:
      data_size_ += record.size;
      ++counts_.stored;
      break;
    case PageState::kZero:
      ++counts_.zero;
      break;
    case PageState::kMissing:
      ++counts_.missing;
      break;
  }
}

ChunkWorker::ChunkWorker(const Vmcore& vmcore, PageCompressor compressor, Buffer copy,
                         bool share_zero_pages)
    : vmcore_(&vmcore),
      reader_(vmcore),
      compressor_(std::move(compressor)),
      copy_(std::move(copy)),
      share_zero_pages_(share_zero_pages) {}

Result<ChunkWorker> ChunkWorker::create(const Vmcore& vmcore, CompressionOptions compression,
                                        bool share_zero_pages) {
  DW_ASSIGN(PageCompressor compressor, PageCompressor::create(compression, vmcore.page_size()));
  DW_ASSIGN(Buffer copy, Buffer::allocate(kRunPages * vmcore.page_size()));
  return ChunkWorker(vmcore, std::move(compressor), std::move(copy), share_zero_pages);
}

size_t ChunkWorker::memory_bytes(CompressionOptions compression, uint64_t page_size) {
  return kRunPages * page_size + PageCompressor::memory_bytes(compression, page_size);
}

void ChunkWorker::process(const PlannedChunk& chunk, ChunkOutput& output) {
  output.clear();
  std::array<std::byte, kChunkPages / 8> bits;
  present_bits(vmcore_->memory(), chunk.first_pfn, bits);
  for (Run run = next_run(bits, 0); run.count > 0; run = next_run(bits, run.begin + run.count))
    process_run(chunk.first_pfn + run.begin, run.count, output);
  DW_CHECK(output.records().size() == chunk.kept);
}

void ChunkWorker::process_run(uint64_t first_pfn, unsigned count, ChunkOutput& output) {
  uint64_t page_size = vmcore_->page_size();
  MutableBytes pages = copy_.bytes().first(count * page_size);
  uint64_t readable = reader_.read_pages(first_pfn, count, pages);
  for (unsigned i = 0; i < count; ++i) {
    if ((readable >> i & 1) == 0)
      output.add({.size = 0, .state = PageState::kMissing});
    else
      process_page(pages.subspan(i * page_size, page_size), output);
  }
}

void ChunkWorker::process_page(Bytes page, ChunkOutput& output) {
  if (share_zero_pages_ && is_zero(page)) {
    output.add({.size = 0, .state = PageState::kZero});
    return;
  }
  MutableBytes room = output.room(page.size());
  size_t size = compressor_.compress(page, room);
  if (size == 0) {
    std::ranges::copy(page, room.begin());
    size = page.size();
  }
  output.add({.size = static_cast<uint32_t>(size), .state = PageState::kStored});
}

}  // namespace dw
