#include "capture/kernel/log/printk_ring.h"

#include <algorithm>
#include <utility>

#include "capture/base/checked.h"
#include "capture/kernel/log/log_keys.h"

namespace dw {

namespace {

// LOG_BUF_LEN_MAX is 2 GiB, for which there are 2^26 descriptors (PRB_AVGBITS).
constexpr uint32_t kMaxTextBits = 31;
constexpr uint32_t kMaxCountBits = 26;
// A log with more of it is not worth the time.
constexpr uint64_t kMaxDamaged = 1000;

constexpr uint64_t kWordBytes = 8;
constexpr size_t kRecordsBytes = 8 << 10;
constexpr size_t kPieceBytes = 4 << 10;

constexpr uint64_t kIdMask = ~uint64_t{0} >> 2;
constexpr uint64_t kCommitted = 1;
constexpr uint64_t kFinalized = 2;

bool fits(uint64_t offset, uint64_t length, uint64_t size) {
  return size <= kMaxLogStructBytes && range_fits(offset, length, size);
}

}  // namespace

Result<PrintkRing> PrintkRing::open(const Vmcoreinfo& info, KernelMemory& memory) {
  DW_ASSIGN(Layout layout, find(info, memory));
  DW_ASSIGN(Buffer scratch, Buffer::allocate(2 * kRecordsBytes + kPieceBytes));
  return PrintkRing(memory, layout, std::move(scratch));
}

Result<PrintkRing::Layout> PrintkRing::find(const Vmcoreinfo& info, KernelMemory& memory) {
  LogKeys keys(info);
  uint64_t positions_at = keys.offset("prb_desc.text_blk_lpos");
  Layout layout{
      .descriptor_bytes = keys.size("prb_desc"),
      .state_at = keys.offset("prb_desc.state_var") + keys.offset("atomic_long_t.counter"),
      .begin_at = positions_at + keys.offset("prb_data_blk_lpos.begin"),
      .next_at = positions_at + keys.offset("prb_data_blk_lpos.next"),
      .info_bytes = keys.size("printk_info"),
      .time_at = keys.offset("printk_info.ts_nsec"),
      .length_at = keys.offset("printk_info.text_len"),
      .caller_at = info.offset("printk_info.caller_id")};
  DW_TRY(keys.status());
  DW_TRY(check(layout));
  DW_TRY(read_rings(info, memory, layout));
  return layout;
}

Status PrintkRing::check(const Layout& layout) {
  uint64_t descriptor = layout.descriptor_bytes;
  uint64_t info = layout.info_bytes;
  if (fits(layout.state_at, 8, descriptor) && fits(layout.begin_at, 8, descriptor) &&
      fits(layout.next_at, 8, descriptor) && fits(layout.time_at, 8, info) &&
      fits(layout.length_at, 2, info) && (!layout.caller_at || fits(*layout.caller_at, 4, info)))
    return {};
  return bad_log("VMCOREINFO's description of the log makes no sense");
}

Status PrintkRing::read_rings(const Vmcoreinfo& info, KernelMemory& memory, Layout& layout) {
  LogKeys keys(info);
  uint64_t counter = keys.offset("atomic_long_t.counter");
  uint64_t ring_at = keys.offset("printk_ringbuffer.desc_ring");
  uint64_t text_at = keys.offset("printk_ringbuffer.text_data_ring");
  uint64_t symbol = keys.symbol("prb");
  uint64_t bits_at = keys.offset("prb_desc_ring.count_bits");
  uint64_t descriptors_at = keys.offset("prb_desc_ring.descs");
  uint64_t infos_at = keys.offset("prb_desc_ring.infos");
  uint64_t head_at = keys.offset("prb_desc_ring.head_id") + counter;
  uint64_t tail_at = keys.offset("prb_desc_ring.tail_id") + counter;
  uint64_t text_bits_at = keys.offset("prb_data_ring.size_bits");
  uint64_t data_at = keys.offset("prb_data_ring.data");
  DW_TRY(keys.status());

  DW_ASSIGN(uint64_t address, memory.read_word(symbol));
  uint64_t ring = address + ring_at;
  uint64_t text = address + text_at;
  DW_ASSIGN(uint64_t count_bits, memory.read_word(ring + bits_at));
  DW_ASSIGN(uint64_t text_bits, memory.read_word(text + text_bits_at));
  DW_ASSIGN(layout.descriptors, memory.read_word(ring + descriptors_at));
  DW_ASSIGN(layout.infos, memory.read_word(ring + infos_at));
  DW_ASSIGN(layout.head_id, memory.read_word(ring + head_at));
  DW_ASSIGN(layout.tail_id, memory.read_word(ring + tail_at));
  DW_ASSIGN(layout.text, memory.read_word(text + data_at));
  // Both are unsigned int.
  count_bits &= 0xffffffff;
  text_bits &= 0xffffffff;
  if (count_bits > kMaxCountBits || text_bits > kMaxTextBits)
    return bad_log("the log's size makes no sense").at(Where::kAddress, address);
  layout.count = uint64_t{1} << count_bits;
  layout.text_bytes = uint64_t{1} << text_bits;
  return {};
}

MutableBytes PrintkRing::descriptors() { return scratch_.bytes().first(kRecordsBytes); }
MutableBytes PrintkRing::infos() { return scratch_.bytes().subspan(kRecordsBytes, kRecordsBytes); }
MutableBytes PrintkRing::piece() {
  return scratch_.bytes().subspan(2 * kRecordsBytes, kPieceBytes);
}

bool PrintkRing::given_up() const { return damaged_ >= kMaxDamaged; }

Status PrintkRing::write(LogText& text) {
  uint64_t id = layout_.tail_id & kIdMask;
  uint64_t left = ((layout_.head_id - id) & kIdMask) + 1;
  if (left > layout_.count) {
    // The ring holds no more than the newest.
    ++damaged_;
    id = (layout_.head_id - (layout_.count - 1)) & kIdMask;
    left = layout_.count;
  }
  while (left != 0 && !given_up()) {
    uint64_t loaded = load_records(id, left);
    if (loaded == 0) ++damaged_;
    for (uint64_t i = 0; i < loaded; ++i) DW_TRY(write_record((id + i) & kIdMask, i, text));
    uint64_t done = std::max<uint64_t>(loaded, 1);
    id = (id + done) & kIdMask;
    left -= done;
  }
  return {};
}

uint64_t PrintkRing::load_records(uint64_t id, uint64_t most) {
  uint64_t index = id & (layout_.count - 1);
  uint64_t count = std::min({most, layout_.count - index, kRecordsBytes / layout_.descriptor_bytes,
                             kRecordsBytes / layout_.info_bytes});
  if (read_records(index, count)) return count;
  // A page that is missing costs what stands in it, and not what stands beside it.
  return count > 1 && read_records(index, 1) ? 1 : 0;
}

bool PrintkRing::read_records(uint64_t index, uint64_t count) {
  return memory_
             ->read(layout_.descriptors + index * layout_.descriptor_bytes,
                    descriptors().first(count * layout_.descriptor_bytes))
             .ok() &&
         memory_
             ->read(layout_.infos + index * layout_.info_bytes,
                    infos().first(count * layout_.info_bytes))
             .ok();
}

Status PrintkRing::write_record(uint64_t id, uint64_t loaded, LogText& text) {
  Bytes descriptor =
      descriptors().subspan(loaded * layout_.descriptor_bytes, layout_.descriptor_bytes);
  Bytes info = infos().subspan(loaded * layout_.info_bytes, layout_.info_bytes);
  auto state_and_id = load<uint64_t>(descriptor, layout_.state_at);
  uint64_t state = state_and_id >> 62;
  if ((state_and_id & kIdMask) != id || (state != kCommitted && state != kFinalized)) return {};
  std::optional<Range> range = block(descriptor);
  if (!range || given_up()) return {};
  uint64_t room = range->end - range->begin;
  if (room < kWordBytes || room > text_left_) {
    ++damaged_;
    return {};
  }
  text_left_ -= room;
  ++records_;
  std::optional<uint32_t> caller;
  if (layout_.caller_at) caller = load<uint32_t>(info, *layout_.caller_at);
  DW_TRY(text.begin(load<uint64_t>(info, layout_.time_at), caller));
  uint64_t length = load<uint16_t>(info, layout_.length_at);
  DW_TRY(write_text(range->begin + kWordBytes, std::min(length, room - kWordBytes), text));
  return text.end();
}

std::optional<PrintkRing::Range> PrintkRing::block(Bytes descriptor) const {
  uint64_t begin = load<uint64_t>(descriptor, layout_.begin_at) & (layout_.text_bytes - 1);
  uint64_t next = load<uint64_t>(descriptor, layout_.next_at) & (layout_.text_bytes - 1);
  if (begin == next) return std::nullopt;
  // Newer kernels let a block end where the ring does (67e1b0052f6b); in older ones none does.
  if (next == 0) return Range{.begin = begin, .end = layout_.text_bytes};
  return Range{.begin = begin > next ? 0 : begin, .end = next};
}

// In pieces. What cannot be read is missing from the line.
Status PrintkRing::write_text(uint64_t begin, uint64_t length, LogText& text) {
  while (length != 0) {
    MutableBytes part = piece().first(std::min<uint64_t>(length, kPieceBytes));
    if (!memory_->read(layout_.text + begin, part).ok()) {
      ++damaged_;
      return {};
    }
    DW_TRY(text.add(part));
    begin += part.size();
    length -= part.size();
  }
  return {};
}

}  // namespace dw
