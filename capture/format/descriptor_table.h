// The descriptor table of a kdump file while it is being written: batches of descriptors that reach
// the disk behind the data they point to, and whole.
//
// A descriptor has 24 bytes, so one in 64 has its offset at the end of one sector and its size and
// flags at the start of the next. If power goes between the two, a reader could take one half for a
// page. Such a descriptor is written in three steps with a sync after each: a size of 1 that no
// page has, then the offset, then the true size and flags. At every moment it reads as right or as
// damaged, never as another page.
// Thread safety: one thread. Asks for no memory after create().
#pragma once

#include <cstdint>
#include <vector>

#include "capture/base/result.h"
#include "capture/format/kdump_format.h"
#include "capture/target/target.h"

namespace dw {

// Whether the offset of the descriptor that stands at `at` in the file is in one sector, and its
// size in the next.
[[nodiscard]] bool crosses_sector(uint64_t at);

class DescriptorTable {
 public:
  // Between two write_pointers(): 128 MiB of pages.
  static constexpr size_t kMaxDescriptors = 32768;

  static DescriptorTable create(Target& target);

  // What create() allocates, in bytes.
  [[nodiscard]] static size_t memory_bytes();

  // Where the table stands in the file, in bytes. Before the first add().
  void set_offset(uint64_t offset) { offset_ = offset; }

  [[nodiscard]] bool empty() const { return current_.entries.empty(); }
  // Whether `count` more, in `runs` runs of consecutive ranks, can be added before the next
  // write_pointers().
  [[nodiscard]] bool has_room(size_t count, size_t runs) const;
  void add(uint64_t rank, const PageDescriptor& descriptor);

  // The three steps. Between the calls the caller sets a barrier on the target: what was added is
  // prepared, barrier (for the data too), pointers, barrier, sizes. write_sizes() belongs to the
  // batch of the write_pointers() before the last barrier.
  Status prepare() { return write(current_, Step::kPrepared); }
  Status write_sizes();
  Status write_pointers();

  // Instead of the three: for a target that takes every byte once and is opened only when whole.
  Status write_at_once();

 private:
  enum class Step : uint8_t { kPrepared, kPointed, kWhole };
  struct Run {  // of descriptors with consecutive ranks
    uint64_t rank;
    size_t count;
  };
  // A descriptor without its page flags, which are always 0.
  struct Entry {
    uint64_t offset;
    uint32_t size;
    uint32_t flags;
  };
  struct Batch {
    std::vector<Entry> entries;
    std::vector<Run> runs;
  };

  explicit DescriptorTable(Target& target) : target_(&target) {}

  Status write(const Batch& batch, Step step);
  Status write_and_clear(Batch& batch);
  Status write_run(const Run& run, const Entry* entries, Step step);

  Target* target_;
  uint64_t offset_ = 0;
  Batch current_;
  Batch pointed_;  // written, but the sizes of those that cross a sector
};

}  // namespace dw
