#include "capture/pipeline/chunk_worker.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "capture/codec/zero.h"

namespace dw {

namespace {

// Pages that are copied at once: large enough to make the call cheap, small enough to stay in the
// second-level cache until they are compressed.
constexpr unsigned kRunPages = 32;

bool test(const ChunkBits& bits, unsigned bit) { return (bits[bit / 64] >> (bit % 64) & 1) != 0; }

struct Run {
  unsigned begin;
  unsigned count;
};

// The lowest run of set bits at or after `from`, cut at kRunPages; empty if there is none.
Run next_run(const ChunkBits& bits, unsigned from) {
  while (from < kChunkPages && !test(bits, from)) ++from;
  Run run{.begin = from, .count = 0};
  while (from < kChunkPages && run.count < kRunPages && test(bits, from)) ++from, ++run.count;
  return run;
}

}  // namespace

PageCounts& PageCounts::operator+=(const PageCounts& other) {
  stored += other.stored;
  zero += other.zero;
  missing += other.missing;
  changed_chunks += other.changed_chunks;
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
  error_.reset();
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

ChunkWorker::ChunkWorker(const Vmcore& vmcore, WindowClassifier classifier,
                         PageCompressor compressor, Buffer copy, bool share_zero_pages)
    : vmcore_(&vmcore),
      classifier_(std::move(classifier)),
      reader_(vmcore),
      compressor_(std::move(compressor)),
      copy_(std::move(copy)),
      share_zero_pages_(share_zero_pages) {}

Result<ChunkWorker> ChunkWorker::create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                        CompressionOptions compression, unsigned dump_level) {
  DW_ASSIGN(WindowClassifier classifier, WindowClassifier::create(vmcore, layout, dump_level));
  DW_ASSIGN(PageCompressor compressor, PageCompressor::create(compression, vmcore.page_size()));
  DW_ASSIGN(Buffer copy, Buffer::allocate(kRunPages * vmcore.page_size()));
  bool share_zero_pages = (dump_level & kLeaveOutZero) != 0;
  return ChunkWorker(vmcore, std::move(classifier), std::move(compressor), std::move(copy),
                     share_zero_pages);
}

size_t ChunkWorker::memory_bytes(CompressionOptions compression, uint64_t page_size) {
  return kRunPages * page_size + WindowClassifier::memory_bytes() +
         PageCompressor::memory_bytes(compression, page_size);
}

// A count or a digest would not do here: pages that change places would get each other's
// descriptors.
void ChunkWorker::process(const PlannedChunk& chunk, const PlannedBits& planned_bits,
                          ChunkOutput& output) {
  output.clear();
  ChunkBits now;
  ClassCounts counts;
  classifier_.classify(chunk.first_pfn, kChunkPages, now, counts);
  Result<ChunkBits> planned = planned_bits(chunk.first_pfn);
  // Without the bitmap no page has a known place: all of them are missing rather than wrong.
  bool known = planned.ok() && count_bits(*planned) == chunk.kept;
  if (!planned.ok())
    output.fail(planned.error());
  else if (!known)
    output.fail(Error(ErrorKind::kIo, "the dump's bitmap is not what was written")
                    .at(Where::kPfn, chunk.first_pfn));
  if (!known)
    process_changed(chunk, ChunkBits{}, now, output);
  else if (*planned != now)
    process_changed(chunk, *planned, now, output);
  else
    process_pages(chunk.first_pfn, now, output);
  DW_CHECK(output.records().size() == chunk.kept);
}

// Memory changed between the passes. The descriptors' places are those of pass 1: pages that are
// kept now but were not then are left out, pages that may not be read now are missing.
void ChunkWorker::process_changed(const PlannedChunk& chunk, const ChunkBits& planned,
                                  const ChunkBits& now, ChunkOutput& output) {
  output.mark_changed();
  for (unsigned i = 0; i < kChunkPages; ++i) {
    if (!test(planned, i)) continue;
    if (test(now, i))
      process_run(chunk.first_pfn + i, 1, output);
    else
      output.add({.size = 0, .state = PageState::kMissing});
  }
  while (output.records().size() < chunk.kept)
    output.add({.size = 0, .state = PageState::kMissing});
}

void ChunkWorker::process_pages(uint64_t first_pfn, const ChunkBits& bits, ChunkOutput& output) {
  for (Run run = next_run(bits, 0); run.count > 0; run = next_run(bits, run.begin + run.count))
    process_run(first_pfn + run.begin, run.count, output);
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
