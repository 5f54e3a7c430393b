// The log of Linux 5.10 and later: a ring of descriptors, one of what is known of each record, and
// one of text.
//
// Source: kernel/printk/printk_ringbuffer.h and .c, Linux 5.10 to 6.18 (896fbe20b4e2, 74caba7f2a06,
// cfe2790b163a; 67e1b0052f6b). Records go from tail_id to head_id. A descriptor counts if its id is
// the one looked for and its state is committed or finalized: others are being written, or are
// reused. Text has its descriptor's id before it; what would not fit before the end of the ring
// stands at its beginning. Records without text have equal positions.
//
// All that is read is untrusted: what makes no sense is skipped and counted. Memory: 20 KiB,
// however large the log is. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/kernel/log/log_text.h"
#include "capture/kernel/translate.h"
#include "capture/kernel/vmcoreinfo.h"

namespace dw {

class PrintkRing {
 public:
  // Errors: kUnsupported where a key is missing, kBadInput where there is no ring, kNoMemory.
  // `memory` must outlive the object.
  static Result<PrintkRing> open(const Vmcoreinfo& info, KernelMemory& memory);

  // Every record to `text`. Errors are those of `text`.
  Status write(LogText& text);
  [[nodiscard]] uint64_t records() const { return records_; }
  // Places of the log that cannot be read or make no sense.
  [[nodiscard]] uint64_t damaged() const { return damaged_; }

 private:
  // Offsets in a structure of the log, and addresses in the kernel's memory.
  struct Layout {
    uint64_t descriptor_bytes = 0, state_at = 0, begin_at = 0, next_at = 0;
    uint64_t info_bytes = 0, time_at = 0, length_at = 0;
    std::optional<uint64_t> caller_at;
    uint64_t descriptors = 0, infos = 0, text = 0;
    uint64_t count = 0, text_bytes = 0;  // powers of two
    uint64_t tail_id = 0, head_id = 0;
  };
  struct Range {
    uint64_t begin, end;
  };

  PrintkRing(KernelMemory& memory, const Layout& layout, Buffer scratch)
      : memory_(&memory),
        layout_(layout),
        scratch_(std::move(scratch)),
        text_left_(layout.text_bytes) {}

  static Result<Layout> find(const Vmcoreinfo& info, KernelMemory& memory);
  static Status check(const Layout& layout);
  static Status read_rings(const Vmcoreinfo& info, KernelMemory& memory, Layout& layout);

  [[nodiscard]] MutableBytes descriptors();
  [[nodiscard]] MutableBytes infos();
  [[nodiscard]] MutableBytes piece();
  [[nodiscard]] bool given_up() const;
  // Reads what stands at `id` and behind it; returns how many records that are, 0 if not even one.
  uint64_t load_records(uint64_t id, uint64_t most);
  bool read_records(uint64_t index, uint64_t count);
  Status write_record(uint64_t id, uint64_t loaded, LogText& text);
  // Where in the ring a record's text stands, with the id before it. Nothing: it has none.
  [[nodiscard]] std::optional<Range> block(Bytes descriptor) const;
  Status write_text(uint64_t begin, uint64_t length, LogText& text);

  KernelMemory* memory_;
  Layout layout_;
  Buffer scratch_;
  uint64_t text_left_;  // all records together have no more text than the ring
  uint64_t records_ = 0;
  uint64_t damaged_ = 0;
};

}  // namespace dw
