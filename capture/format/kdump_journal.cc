#include "capture/format/kdump_journal.h"

#include <algorithm>
#include <array>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"

namespace dw {

namespace {

constexpr uint64_t kHeadPieceBytes = 4 << 20;
constexpr size_t kReadBytes = 16 << 10;

}  // namespace

Status KdumpJournal::begin(const Plan& plan, const KdumpLayout& layout) {
  // Besides the pieces of the head: its block as it is and as sealing makes it, what is behind the
  // table, plan, end.
  uint64_t head = divide_up(layout.descriptors_offset, kHeadPieceBytes) + 5;
  uint64_t bytes = head * record_bytes(0);
  BatchCursor batches(plan);
  PlannedBatch batch;
  uint32_t count = 0;
  for (; batches.next(batch); ++count) bytes += record_bytes(batch.chunks().size());
  plan_ = {.offset = plan.kept_pages(),
           .content = count,
           .kind = PieceKind::kPlan,
           .digest = plan.digest()};
  return journal_.preallocate(bytes);
}

Status KdumpJournal::add_head_pieces(uint64_t begin, uint64_t end, uint64_t most,
                                     MutableBytes buffer) {
  while (begin < end) {
    uint64_t size = std::min(most, end - begin);
    RunningDigest digest;
    for (uint64_t done = 0; done < size; done += buffer.size()) {
      MutableBytes piece = buffer.first(std::min<uint64_t>(buffer.size(), size - done));
      DW_TRY(target_->read_at(begin + done, piece));
      digest.add(piece);
    }
    journal_.add({.offset = begin,
                  .length = static_cast<uint32_t>(size),
                  .kind = PieceKind::kHead,
                  .digest = digest.value()});
    if (!journal_.has_room(0)) DW_TRY(journal_.flush());
    begin += size;
  }
  return {};
}

Status KdumpJournal::add_head(const KdumpLayout& layout, uint64_t pages_begin) {
  std::array<std::byte, kReadBytes> buffer;
  uint64_t block = layout.block_size;
  uint64_t table_end = layout.descriptors_offset + layout.descriptor_count * sizeof(PageDescriptor);
  DW_TRY(add_head_pieces(0, block, block, buffer));
  DW_TRY(add_head_pieces(block, layout.descriptors_offset, kHeadPieceBytes, buffer));
  DW_TRY(add_head_pieces(table_end, pages_begin, kHeadPieceBytes, buffer));
  journal_.add(plan_);
  return journal_.flush();
}

void KdumpJournal::add_batch(const PlannedBatch& batch, const BatchOutput& output, uint64_t offset,
                             std::span<const PageDescriptor> descriptors) {
  const PageCounts& counts = output.counts();
  journal_.add({.offset = offset,
                .length = static_cast<uint32_t>(output.data().size()),
                .kind = PieceKind::kPages,
                .stored = static_cast<uint16_t>(counts.stored),
                .shared = static_cast<uint16_t>(counts.shared),
                .zero = static_cast<uint16_t>(counts.zero),
                .missing = static_cast<uint16_t>(counts.missing),
                .changed = static_cast<uint16_t>(counts.changed_chunks),
                .digest = output.data_digest(),
                .table_digest = digest64(std::as_bytes(descriptors))},
               batch.chunks());
}

Status KdumpJournal::add_end(Bytes sealed_header, uint64_t block_size, uint64_t file_bytes) {
  static constexpr std::array<std::byte, 512> kZeros{};
  RunningDigest digest;
  digest.add(sealed_header);
  for (uint64_t done = sealed_header.size(); done < block_size;) {
    uint64_t n = std::min<uint64_t>(kZeros.size(), block_size - done);
    digest.add(std::span(kZeros).first(n));
    done += n;
  }
  journal_.add({.offset = 0,
                .length = static_cast<uint32_t>(block_size),
                .kind = PieceKind::kSealedHead,
                .digest = digest.value()});
  journal_.add({.offset = file_bytes, .kind = PieceKind::kEnd});
  return journal_.flush();
}

}  // namespace dw
