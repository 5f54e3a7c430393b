#include "capture/format/kdump_journal.h"

#include <algorithm>
#include <array>

#include "capture/base/checked.h"
#include "capture/codec/running_digest.h"

namespace dw {

Status KdumpJournal::begin(const Plan& plan, const KdumpLayout& layout) {
  plan_ = make_plan_record(plan);
  // Besides the pieces of the head: its block as it is and as sealing makes it, what is behind the
  // table, plan, end.
  uint64_t head = divide_up(layout.descriptors_offset, kHeadPieceBytes) + 5;
  return journal_.preallocate(head * record_bytes(0) + plan_.batch_bytes);
}

Status KdumpJournal::add_head(const KdumpLayout& layout, uint64_t pages_begin,
                              const HeadSum& written) {
  HeadSum read_back;
  uint64_t block = layout.block_size;
  uint64_t table_end = layout.descriptors_offset + layout.descriptor_count * sizeof(PageDescriptor);
  DW_TRY(dw::add_head(journal_, *target_, 0, block, read_back));
  DW_TRY(dw::add_head(journal_, *target_, block, layout.descriptors_offset, read_back));
  DW_TRY(dw::add_head(journal_, *target_, table_end, pages_begin, read_back));
  DW_TRY(compare_head(written, read_back));
  journal_.add(plan_.record);
  return journal_.flush();
}

void KdumpJournal::add_batch(const PlannedBatch& batch, const BatchOutput& output, uint64_t offset,
                             std::span<const PageDescriptor> descriptors) {
  JournalRecord record = make_pages_record(output);
  record.offset = offset;
  record.length = static_cast<uint32_t>(output.data().size());
  record.table_digest = digest64(std::as_bytes(descriptors));
  journal_.add(record, batch.chunks());
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
