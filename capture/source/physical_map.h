// Which physical memory a vmcore holds, and where in the file: sorted, disjoint ranges.
//
// The first PT_LOAD of every x86_64 vmcore is the kernel image again, under its virtual address,
// so segments overlap in physical addresses. Here each byte of RAM is counted once.
// Thread safety: immutable after it is made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capture/base/result.h"
#include "capture/source/elf_headers.h"

namespace dw {

// Physical addresses [begin, end), whose first byte stands at file_offset.
struct PhysicalRange {
  uint64_t begin;
  uint64_t end;
  uint64_t file_offset;

  friend bool operator==(const PhysicalRange&, const PhysicalRange&) = default;
};

// Page frames [begin, end).
struct PfnRange {
  uint64_t begin;
  uint64_t end;

  friend bool operator==(const PfnRange&, const PfnRange&) = default;
};

class PhysicalMap {
 public:
  // Memory that a segment claims (memory_size) but does not bring (file_size) is not in the map.
  // `page_size` in bytes, a power of two.
  static PhysicalMap from_segments(std::span<const Segment> segments, uint64_t page_size);

  [[nodiscard]] std::span<const PhysicalRange> ranges() const { return ranges_; }

  // Page frames of which at least one byte is in the vmcore, sorted, disjoint and not touching. A
  // page that is only partly there counts: its missing bytes read as zeros.
  [[nodiscard]] std::span<const PfnRange> pfn_ranges() const { return pfn_ranges_; }
  [[nodiscard]] uint64_t page_count() const { return page_count_; }
  // One past the last page frame.
  [[nodiscard]] uint64_t end_pfn() const {
    return pfn_ranges_.empty() ? 0 : pfn_ranges_.back().end;
  }
  [[nodiscard]] uint64_t page_size() const { return page_size_; }

  [[nodiscard]] bool contains_pfn(uint64_t pfn) const;

  // The first range that ends after `address`, or ranges().end(). O(log n).
  [[nodiscard]] std::span<const PhysicalRange>::iterator first_range_after(uint64_t address) const;
  [[nodiscard]] std::span<const PfnRange>::iterator first_pfn_range_after(uint64_t pfn) const;

 private:
  std::vector<PhysicalRange> ranges_;
  std::vector<PfnRange> pfn_ranges_;
  uint64_t page_count_ = 0;
  uint64_t page_size_ = 4096;
};

}  // namespace dw
