#include "capture/verify/table_walk.h"

#include <algorithm>
#include <bit>

namespace dw {

using PageState = KdumpFile::PageState;

Result<uint64_t> count_ram_pages(const KdumpFile& file, ByteReader& reader) {
  const KdumpLayout& layout = file.layout();
  std::vector<std::byte> block(layout.block_size);
  uint64_t pages = 0;
  for (uint64_t index = 0; index < layout.bitmap_size / block.size(); ++index) {
    DW_TRY(file.read_bitmap_block(reader, layout.first_bitmap_offset, index, block));
    for (size_t at = 0; at < block.size(); at += sizeof(ChunkBits))
      pages += count_bits(load<ChunkBits>(block, at));
  }
  return pages;
}

TableWalk::TableWalk(const KdumpFile& file, ByteReader& reader, const Vouched& vouched,
                     Findings& findings)
    : file_(&file),
      reader_(&reader),
      vouched_(vouched),
      findings_(&findings),
      index_(file, reader),
      whole_(!file.incomplete()) {}

Status TableWalk::tell_pages() {
  for (uint64_t chunk = 0; chunk < index_.chunk_count(); ++chunk) {
    DW_ASSIGN(IndexedChunk found, index_.find(chunk));
    if (found.kept > 0) DW_TRY(walk_chunk(found));
  }
  flush();
  return {};
}

Status TableWalk::tell_chunks() {
  for (uint64_t chunk = 0; chunk < index_.chunk_count(); ++chunk) {
    DW_ASSIGN(IndexedChunk found, index_.find(chunk));
    bool bad = vouched_.distrusted.contains(chunk);
    for (unsigned i = 0; i < kChunkPages; ++i)
      if ((found.bits[i / 64] >> (i % 64) & 1) != 0)
        take(found.first_pfn + i,
             {.damage = bad ? std::optional(Damage::kSuspect) : std::nullopt, .there = !bad});
  }
  flush();
  return {};
}

Status TableWalk::walk_chunk(const IndexedChunk& chunk) {
  descriptors_.resize(chunk.kept);
  DW_TRY(file_->read_descriptors(*reader_, chunk.rank, descriptors_));
  uint64_t number = chunk.first_pfn / kChunkPages;
  bool trusted = !vouched_.distrusted.contains(number);
  bool vouched = vouched_.chunks.contains(number);
  size_t at = 0;
  for (unsigned i = 0; i < kChunkPages; ++i) {
    if ((chunk.bits[i / 64] >> (i % 64) & 1) == 0) continue;
    const PageDescriptor& descriptor = descriptors_[at];
    Verdict verdict = judge(descriptor, chunk.rank + at, trusted);
    bool checked = vouched || vouched_.all_checked || descriptor.flags == kPageZstd ||
                   descriptor.flags == kPageZlib || descriptor.offset == vouched_.zero_page_offset;
    if (verdict.there && !checked) ++findings_->report().unchecked;
    take(chunk.first_pfn + i, verdict);
    ++at;
  }
  return {};
}

TableWalk::Verdict TableWalk::judge(const PageDescriptor& descriptor, uint64_t rank,
                                    bool trusted) const {
  uint64_t place = file_->layout().descriptors_offset + rank * sizeof(PageDescriptor);
  Verdict verdict{.damage = {}, .begin = place, .end = place + sizeof(PageDescriptor)};
  if (!trusted) {
    verdict.damage = Damage::kTable;
    return verdict;
  }
  PageState state = file_->state_of(descriptor);
  if (state == PageState::kDamaged) {
    verdict.damage = Damage::kDescriptor;
    return verdict;
  }
  // Also of what lies beyond the end of the file, if it was there once.
  const DamagedData::Place* damaged =
      descriptor.size > 0 ? findings_->data().find(descriptor.offset, descriptor.size) : nullptr;
  if (damaged != nullptr) {
    verdict.damage = damaged->damage;
    verdict.begin = descriptor.offset;
    verdict.end = descriptor.offset + descriptor.size;
  } else if (state == PageState::kMissing && whole_) {
    verdict.damage = Damage::kMissing;
  } else {
    verdict.there =
        state == PageState::kStored &&
        (whole_ || findings_->missing().find(descriptor.offset, descriptor.size) == nullptr);
  }
  return verdict;
}

void TableWalk::take(uint64_t pfn, const Verdict& verdict) {
  VerifyReport& report = findings_->report();
  ++report.kept;
  if (verdict.there) ++report.there;
  if (!verdict.there && !verdict.damage) ++report.missing;
  if (!verdict.damage || !run_ || run_->damage != *verdict.damage) flush();
  if (!verdict.damage) return;
  if (!run_)
    run_ = DamagedPages{.first_pfn = pfn,
                        .last_pfn = pfn,
                        .pages = 0,
                        .damage = *verdict.damage,
                        .begin = verdict.begin,
                        .end = verdict.end};
  run_->last_pfn = pfn;
  ++run_->pages;
  run_->begin = std::min(run_->begin, verdict.begin);
  run_->end = std::max(run_->end, verdict.end);
}

void TableWalk::flush() {
  if (!run_) return;
  // Of a stream, those of whole frames.
  if (run_->begin < run_->end) {
    run_->begin = file_->source().file_offset(run_->begin);
    run_->end = std::max(run_->begin + 1, file_->source().file_offset(run_->end));
  }
  findings_->tell_pages(*run_);
  run_.reset();
}

}  // namespace dw
