#include "capture/kernel/log/record_log.h"

#include <algorithm>
#include <string>
#include <utility>

#include "capture/base/checked.h"
#include "capture/kernel/log/log_keys.h"

namespace dw {

namespace {

constexpr size_t kPieceBytes = 4 << 10;
constexpr uint64_t kMaxBufferBytes = uint64_t{1} << 31;  // LOG_BUF_LEN_MAX

bool fits(uint64_t offset, uint64_t length, uint64_t size) {
  return size <= kMaxLogStructBytes && range_fits(offset, length, size);
}

}  // namespace

Result<RecordLog> RecordLog::open(const Vmcoreinfo& info, KernelMemory& memory) {
  DW_ASSIGN(Layout layout, find(info, memory));
  DW_ASSIGN(Buffer scratch, Buffer::allocate(kMaxLogStructBytes + kPieceBytes));
  return RecordLog(memory, layout, std::move(scratch));
}

Result<RecordLog::Layout> RecordLog::find(const Vmcoreinfo& info, KernelMemory& memory) {
  LogKeys keys(info);
  bool old_name = !info.size("printk_log") && info.size("log");
  Layout layout{.header_bytes = keys.size(old_name ? "log" : "printk_log"),
                .time_at = keys.offset(old_name ? "log.ts_nsec" : "printk_log.ts_nsec"),
                .length_at = keys.offset(old_name ? "log.len" : "printk_log.len"),
                .text_length_at = keys.offset(old_name ? "log.text_len" : "printk_log.text_len"),
                .caller_at = info.offset("printk_log.caller_id")};
  uint64_t buffer = keys.symbol("log_buf");
  uint64_t length = keys.symbol("log_buf_len");
  uint64_t first = keys.symbol("log_first_idx");
  uint64_t next = keys.symbol("log_next_idx");
  DW_TRY(keys.status());
  DW_ASSIGN(layout.buffer, memory.read_word(buffer));
  DW_ASSIGN(layout.buffer_bytes, memory.read_word(length));
  DW_ASSIGN(layout.first, memory.read_word(first));
  DW_ASSIGN(layout.next, memory.read_word(next));
  // All three are u32.
  for (uint64_t* value : {&layout.buffer_bytes, &layout.first, &layout.next}) *value &= 0xffffffff;
  DW_TRY(check(layout));
  return layout;
}

Status RecordLog::check(const Layout& layout) {
  uint64_t header = layout.header_bytes;
  if (!fits(layout.time_at, 8, header) || !fits(layout.length_at, 2, header) ||
      !fits(layout.text_length_at, 2, header) ||
      (layout.caller_at && !fits(*layout.caller_at, 4, header)))
    return bad_log("VMCOREINFO's description of the log makes no sense");
  if (layout.buffer_bytes > kMaxBufferBytes || layout.first > layout.buffer_bytes ||
      layout.next > layout.buffer_bytes)
    return bad_log("the log's size makes no sense").at(Where::kAddress, layout.buffer);
  return {};
}

MutableBytes RecordLog::header() { return scratch_.bytes().first(layout_.header_bytes); }
MutableBytes RecordLog::piece() {
  return scratch_.bytes().subspan(kMaxLogStructBytes, kPieceBytes);
}

std::optional<uint64_t> RecordLog::load_header(uint64_t at) {
  if (!range_fits(at, layout_.header_bytes, layout_.buffer_bytes) ||
      !memory_->read(layout_.buffer + at, header()).ok())
    return std::nullopt;
  uint64_t length = load<uint16_t>(header(), layout_.length_at);
  bool whole = length >= layout_.header_bytes && range_fits(at, length, layout_.buffer_bytes);
  return length == 0 || whole ? std::optional(length) : std::nullopt;
}

// Each step goes on by a record, and the beginning is gone back to once.
Status RecordLog::write(LogText& text) {
  bool again = false;
  uint64_t at = layout_.first;
  while (at != layout_.next) {
    std::optional<uint64_t> length = load_header(at);
    bool ends_here = !length || (again && (*length == 0 || at >= layout_.first));
    if (ends_here) {
      ++damaged_;
      return {};
    }
    if (*length == 0) {
      again = true;
      at = 0;
      continue;
    }
    DW_TRY(write_record(at, *length, text));
    at += *length;
  }
  return {};
}

Status RecordLog::write_record(uint64_t at, uint64_t length, LogText& text) {
  ++records_;
  std::optional<uint32_t> caller;
  if (layout_.caller_at) caller = load<uint32_t>(header(), *layout_.caller_at);
  DW_TRY(text.begin(load<uint64_t>(header(), layout_.time_at), caller));
  uint64_t left = std::min<uint64_t>(load<uint16_t>(header(), layout_.text_length_at),
                                     length - layout_.header_bytes);
  for (at += layout_.header_bytes; left != 0;) {
    MutableBytes part = piece().first(std::min<uint64_t>(left, kPieceBytes));
    if (!memory_->read(layout_.buffer + at, part).ok()) {
      ++damaged_;
      break;
    }
    DW_TRY(text.add(part));
    at += part.size();
    left -= part.size();
  }
  return text.end();
}

}  // namespace dw
