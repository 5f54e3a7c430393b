// Ranges of a file, a limited number of them; those that touch are one.
//
// Thread safety: one thread. Asks for no memory after it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dw {

class RangeSet {
 public:
  // `most` ranges that do not touch each other.
  explicit RangeSet(size_t most);

  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] bool overlaps(uint64_t begin, uint64_t end) const;
  // False, and nothing was done, if there would be too many.
  [[nodiscard]] bool add(uint64_t begin, uint64_t end);
  void clear() { ranges_.clear(); }
  void swap(RangeSet& other) noexcept;

  [[nodiscard]] static size_t memory_bytes(size_t most) { return most * sizeof(Range); }

 private:
  struct Range {
    uint64_t begin;
    uint64_t end;
  };

  size_t most_;
  std::vector<Range> ranges_;  // in order
};

}  // namespace dw
