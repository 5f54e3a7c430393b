// Writes that wait until something else is durable, in order. Those that follow each other are one.
//
// Thread safety: none. Ownership: the memory belongs to the caller.
#pragma once

#include <cstdint>
#include <functional>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class HeldWrites {
 public:
  enum class File : uint8_t { kDump, kSums };
  using Write = std::function<Status(File file, uint64_t offset, Bytes bytes)>;

  // Where they are kept; nothing can be held before.
  void use(MutableBytes memory) { memory_ = memory; }
  [[nodiscard]] bool has_memory() const { return !memory_.empty(); }

  // False, and nothing was done, without room.
  [[nodiscard]] bool add(File file, uint64_t offset, Bytes bytes);
  // Whether one of the dump's may overlap: it may say so when none does.
  [[nodiscard]] bool may_overlap(uint64_t offset, uint64_t length) const;
  // Hands them over, up to the first error. Then none is held, in any case.
  Status release(const Write& write);

 private:
  struct Head {
    uint64_t offset;
    uint32_t length;
    File file;
  };
  static constexpr size_t kMostTogether = 256 << 10;

  [[nodiscard]] bool extend(File file, uint64_t offset, Bytes bytes);
  void note(File file, uint64_t offset, uint64_t length);

  MutableBytes memory_;
  size_t used_ = 0;
  size_t last_ = 0;              // where the last one's head is
  uint64_t begin_ = UINT64_MAX;  // of the dump, around all of its writes
  uint64_t end_ = 0;
};

}  // namespace dw
