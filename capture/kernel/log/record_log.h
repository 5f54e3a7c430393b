// The log of Linux 3.5 to 5.9: records one behind the other in log_buf, from log_first_idx to
// log_next_idx.
//
// Source: kernel/printk/printk.c, struct printk_log (struct log before 3.11), Linux 4.19. A record
// is a header, its text, a dictionary and padding; `len` is all of that. A record of length 0 says
// that the next one stands at the beginning.
//
// All that is read is untrusted: where a record makes no sense the log ends. Memory: 8 KiB, however
// large the log is. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/kernel/log/log_text.h"
#include "capture/kernel/translate.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

class RecordLog {
 public:
  // As PrintkRing.
  static Result<RecordLog> open(const Vmcoreinfo& info, KernelMemory& memory);

  Status write(LogText& text);
  [[nodiscard]] uint64_t records() const { return records_; }
  [[nodiscard]] uint64_t damaged() const { return damaged_; }

 private:
  struct Layout {
    uint64_t header_bytes = 0, time_at = 0, length_at = 0, text_length_at = 0;
    std::optional<uint64_t> caller_at;
    uint64_t buffer = 0, buffer_bytes = 0;
    uint64_t first = 0, next = 0;  // offsets in the buffer
  };

  RecordLog(KernelMemory& memory, const Layout& layout, Buffer scratch)
      : memory_(&memory), layout_(layout), scratch_(std::move(scratch)) {}

  static Result<Layout> find(const Vmcoreinfo& info, KernelMemory& memory);
  static Status check(const Layout& layout);

  [[nodiscard]] MutableBytes header();
  [[nodiscard]] MutableBytes piece();
  // The record's length, with its header in header(); nothing if there is none at `at`.
  std::optional<uint64_t> load_header(uint64_t at);
  Status write_record(uint64_t at, uint64_t length, LogText& text);

  KernelMemory* memory_;
  Layout layout_;
  Buffer scratch_;
  uint64_t records_ = 0;
  uint64_t damaged_ = 0;
};

}  // namespace dw
