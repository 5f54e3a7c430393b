// Kernel logs for tests: what printk() of a kernel would have left in memory, to be put into a
// synthetic vmcore whole or damaged.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tests/golden/memmap_builder.h"

namespace dw::test {

struct LoggedRecord {
  uint64_t time_ns = 0;
  uint32_t caller_id = 0;
  std::string text;
};

// As makedumpfile --dump-dmesg prints them; text of printable characters and line ends only.
std::string printed(const LoggedRecord& record, bool with_caller = true);

// What VMCOREINFO says of the log's structures: of the ring buffer as of Linux 6.12, where a
// printk_info has 88 bytes; and of the records before it, whose struct is `name`.
void set_ring_keys(golden::KernelBuilder& builder, unsigned info_bytes, bool with_caller);
void set_record_keys(golden::KernelBuilder& builder, const std::string& name, size_t header_bytes,
                     bool with_caller);

// The ring buffer of Linux 5.10 and later (kernel/printk/printk_ringbuffer.c).
class RingModel {
 public:
  struct Descriptor {
    uint64_t state_and_id = 0, begin = 0, next = 0;
  };
  enum State : uint64_t { kReserved, kCommitted, kFinalized, kReusable };

  // `fills_to_end`: a text may end where the ring does, as from 67e1b0052f6b on. Ids and positions
  // begin such that both soon overflow.
  RingModel(unsigned count_bits, unsigned text_bits, bool fills_to_end = true);

  // Logs a record, at the cost of the oldest ones. An empty text has no data block.
  void add(const LoggedRecord& record);

  // Of a record that is there: to be changed.
  [[nodiscard]] Descriptor& descriptor(uint64_t id) { return descriptors_[id & (count() - 1)]; }
  void set_state(uint64_t id, State state) {
    descriptor(id).state_and_id = id | uint64_t{state} << 62;
  }
  void set_text_length(uint64_t id, uint16_t length) { infos_[id & (count() - 1)].length = length; }
  uint64_t count_bits, text_bits;  // as the kernel's memory will say
  uint64_t tail_id, head_id;
  unsigned texts_at_begin = 0;  // that did not fit before the end, and
  unsigned texts_to_end = 0;    // those that ended where the ring does

  // What stands in it, printed.
  [[nodiscard]] std::string text() const;

  // Into memory, on pages that do not follow each other, and into VMCOREINFO.
  void store(golden::KernelBuilder& builder) const;
  // The virtual addresses that store() uses.
  static constexpr uint64_t kDescriptors = 0xffffc90000000000;
  static constexpr uint64_t kInfos = 0xffffc90010000000;
  static constexpr uint64_t kText = 0xffffc90020000000;

 private:
  struct Info {
    uint64_t time_ns = 0;
    uint16_t length = 0;
    uint32_t caller_id = 0;
  };

  [[nodiscard]] uint64_t count() const { return descriptors_.size(); }
  void drop_oldest();
  uint64_t place(uint64_t begin, uint64_t size) const;
  void put_text(Descriptor& descriptor, uint64_t id, std::string_view text);

  bool fills_to_end_;
  std::vector<Descriptor> descriptors_;
  std::vector<Info> infos_;
  std::vector<std::byte> ring_;
  uint64_t head_position_, tail_position_;
  std::deque<LoggedRecord> live_;
};

// The record buffer of Linux 3.5 to 5.9 (kernel/printk/printk.c).
class RecordModel {
 public:
  explicit RecordModel(size_t bytes, bool with_caller = false)
      : header_bytes_(with_caller ? 20 : 16), buffer_(bytes) {}

  void add(const LoggedRecord& record, std::string_view dictionary = {});
  [[nodiscard]] std::string text() const;
  // With the names of Linux 3.5 (struct log) or of 3.11 (struct printk_log).
  void store(golden::KernelBuilder& builder, bool old_names = false) const;

  uint32_t first = 0, next = 0;
  [[nodiscard]] std::vector<std::byte>& buffer() { return buffer_; }

 private:
  void drop_oldest();
  [[nodiscard]] bool has_room(size_t size) const;

  size_t header_bytes_;
  std::vector<std::byte> buffer_;
  std::deque<LoggedRecord> live_;
};

}  // namespace dw::test
