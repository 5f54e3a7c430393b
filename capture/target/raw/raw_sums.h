// The list of checksums of a dump on a partition: in room at its end, appended to and read back.
//
// All of the room is zeros but for the list. If it becomes too small, the list moves to the front
// of one that is twice as large. Thread safety: one thread. The device must outlive it.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/target/raw/raw_device.h"

namespace dw {

class RawSums {
 public:
  // What the superblock says of it.
  explicit RawSums(RawDevice& device);

  // Where its room begins: the dump ends there at the latest.
  [[nodiscard]] uint64_t begin() const { return begin_; }
  [[nodiscard]] uint64_t size() const { return size_; }

  // As those of Target. `dump_end`: the room may not begin in front of it.
  Status append(Bytes bytes, uint64_t dump_end);
  Status read(uint64_t offset, MutableBytes into) const;
  Status preallocate(uint64_t length, uint64_t dump_end);
  Status cut(uint64_t size);

  // What the superblock shall say after a sync. `certain`: the list ends where it does now.
  void tell(RawSuperblock& superblock, bool certain) const;
  // Whether what it says is no longer true.
  [[nodiscard]] bool differs_from(const RawSuperblock& superblock) const;

 private:
  [[nodiscard]] uint64_t room() const { return end_ - begin_; }
  Status move_to(uint64_t begin);

  RawDevice* device_;
  uint64_t begin_;
  uint64_t end_;
  uint64_t size_;
  bool changed_ = false;  // since the superblock was read
};

}  // namespace dw
