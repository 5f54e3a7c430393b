#include "capture/format/descriptor_eraser.h"

#include <array>
#include <cstring>

#include "capture/format/descriptor_table.h"
#include "capture/plan/batch.h"

namespace dw {

namespace {

// Each checkpoint writes at most one batch of the table before its sync, and three of them may be
// on the disk before the journal's record of the first is.
constexpr uint64_t kMostUnlisted = 4 * DescriptorTable::kMaxDescriptors;

bool is_empty(const PageDescriptor& descriptor) {
  return descriptor.offset == 0 && descriptor.size == 0 && descriptor.flags == 0 &&
         descriptor.page_flags == 0;
}

}  // namespace

Status DescriptorEraser::erase(uint64_t first, uint64_t listed) {
  DW_ASSIGN(uint64_t end, run(Step::kSizes, first, UINT64_MAX, listed));
  DW_TRY(target_->sync());
  DW_TRY(run(Step::kOffsets, first, end, listed));
  return target_->sync();
}

Result<uint64_t> DescriptorEraser::run(Step step, uint64_t first, uint64_t end, uint64_t listed) {
  BatchCursor batches(*plan_, first);
  PlannedBatch batch;
  uint64_t sequence = first;
  uint64_t empty_pages = 0;
  for (; sequence < end && batches.next(batch); ++sequence) {
    if (end == UINT64_MAX && empty_pages >= kMostUnlisted) return sequence;
    bool any = false;
    for (const PlannedChunk& chunk : batch.chunks()) {
      DW_ASSIGN(bool found, erase_chunk(step, chunk));
      any = any || found;
    }
    empty_pages = any || sequence < listed ? 0 : empty_pages + batch.pages();
  }
  return sequence;
}

Result<bool> DescriptorEraser::erase_chunk(Step step, const PlannedChunk& chunk) {
  std::array<PageDescriptor, kChunkPages> room;
  std::span<PageDescriptor> descriptors = std::span(room).first(chunk.kept);
  uint64_t at = layout_->descriptors_offset + chunk.rank * sizeof(PageDescriptor);
  DW_TRY(target_->read_at(at, std::as_writable_bytes(descriptors)));
  if (!change(step, at, descriptors)) return false;
  DW_TRY(target_->write_at(at, std::as_bytes(descriptors)));
  return true;
}

bool DescriptorEraser::change(Step step, uint64_t at, std::span<PageDescriptor> descriptors) {
  bool any = false;
  for (PageDescriptor& descriptor : descriptors) {
    bool crosses = crosses_sector(at);
    at += sizeof(PageDescriptor);
    if (is_empty(descriptor)) continue;
    any = true;
    if (!crosses) {
      descriptor = {};
    } else if (step == Step::kSizes) {
      descriptor.size = kUnsettledSize;
      descriptor.flags = kPageZstd;
    } else {
      descriptor.offset = 0;
    }
  }
  return any;
}

}  // namespace dw
