#include "capture/kernel/log/log_text.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace dw {

namespace {

constexpr size_t kPieceBytes = 8 << 10;
// include/linux/printk.h has no name for it: printk_caller_id() sets it for a CPU.
constexpr uint32_t kCallerIsCpu = 0x80000000;

// isprint() and isspace() of the C locale.
bool stands_for_itself(char byte) {
  return (byte >= ' ' && byte <= '~') || (byte >= '\t' && byte <= '\r');
}

}  // namespace

Result<LogText> LogText::create(const TextSink& sink) {
  DW_ASSIGN(Buffer buffer, Buffer::allocate(kPieceBytes));
  return LogText(sink, std::move(buffer));
}

Status LogText::begin(uint64_t time_ns, std::optional<uint32_t> caller_id) {
  char prefix[80];
  int length = std::snprintf(prefix, sizeof(prefix), "[%5" PRIu64 ".%06" PRIu64 "] ",
                             time_ns / 1'000'000'000, time_ns % 1'000'000'000 / 1000);
  if (caller_id) {
    char caller[16];
    std::snprintf(caller, sizeof(caller), "%c%" PRIu32, (*caller_id & kCallerIsCpu) ? 'C' : 'T',
                  *caller_id & ~kCallerIsCpu);
    length += std::snprintf(prefix + length, sizeof(prefix) - static_cast<size_t>(length), "[%8s] ",
                            caller);
  }
  indent_ = static_cast<size_t>(length);
  return put({prefix, indent_});
}

Status LogText::add(Bytes text) {
  for (std::byte byte : text) DW_TRY(put_byte(static_cast<char>(byte)));
  return {};
}

Status LogText::put_byte(char byte) {
  constexpr std::string_view kSpaces =
      "                                        "
      "                                        ";
  if (byte == '\n') {
    DW_TRY(put("\n"));
    return put(kSpaces.substr(0, indent_));
  }
  if (stands_for_itself(byte)) return put({&byte, 1});
  char escape[16];
  int length = std::snprintf(escape, sizeof(escape), "\\x%02x",
                             static_cast<unsigned>(static_cast<signed char>(byte)));
  return put({escape, static_cast<size_t>(length)});
}

Status LogText::note(std::string_view line) {
  DW_TRY(put("dumpwright: "));
  DW_TRY(put(line));
  return put("\n");
}

Status LogText::put(std::string_view text) {
  if (text.size() > kPieceBytes - used_) DW_TRY(flush());
  DW_CHECK(text.size() <= kPieceBytes);
  std::memcpy(buffer_.data() + used_, text.data(), text.size());
  used_ += text.size();
  return {};
}

Status LogText::flush() {
  size_t size = std::exchange(used_, 0);
  handed_on_ += size;
  return size == 0 ? Status() : (*sink_)(buffer_.bytes().first(size));
}

}  // namespace dw
