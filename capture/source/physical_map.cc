#include "capture/source/physical_map.h"

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

namespace {

std::vector<PhysicalRange> sorted_ranges(std::span<const Segment> segments) {
  std::vector<PhysicalRange> sorted;
  sorted.reserve(segments.size());
  for (const Segment& segment : segments) {
    if (segment.file_size == 0) continue;
    sorted.push_back({.begin = segment.physical_address,
                      .end = segment.physical_address + segment.file_size,
                      .file_offset = segment.file_offset});
  }
  std::ranges::sort(sorted, [](const PhysicalRange& a, const PhysicalRange& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  return sorted;
}

// Cuts from each range what an earlier one covers already, and joins ranges that follow each other
// both in memory and in the file.
std::vector<PhysicalRange> without_overlaps(std::span<const PhysicalRange> sorted) {
  std::vector<PhysicalRange> result;
  for (PhysicalRange range : sorted) {
    if (!result.empty() && range.begin < result.back().end) {
      if (range.end <= result.back().end) continue;
      uint64_t covered = result.back().end - range.begin;
      range.begin += covered;
      range.file_offset += covered;
    }
    bool follows =
        !result.empty() && result.back().end == range.begin &&
        result.back().file_offset + (range.begin - result.back().begin) == range.file_offset;
    if (follows)
      result.back().end = range.end;
    else
      result.push_back(range);
  }
  return result;
}

}  // namespace

PhysicalMap PhysicalMap::from_segments(std::span<const Segment> segments, uint64_t page_size) {
  DW_CHECK(std::has_single_bit(page_size));
  PhysicalMap map;
  map.page_size_ = page_size;
  map.ranges_ = without_overlaps(sorted_ranges(segments));
  for (const PhysicalRange& range : map.ranges_) {
    uint64_t begin = range.begin / page_size;
    uint64_t end = divide_up(range.end, page_size);
    if (!map.pfn_ranges_.empty() && begin <= map.pfn_ranges_.back().end)
      map.pfn_ranges_.back().end = end;
    else
      map.pfn_ranges_.push_back({.begin = begin, .end = end});
  }
  for (const PfnRange& range : map.pfn_ranges_) map.page_count_ += range.end - range.begin;
  return map;
}

std::span<const PhysicalRange>::iterator PhysicalMap::first_range_after(uint64_t address) const {
  std::span<const PhysicalRange> all = ranges();
  return std::ranges::upper_bound(all, address, {}, &PhysicalRange::end);
}

std::span<const PfnRange>::iterator PhysicalMap::first_pfn_range_after(uint64_t pfn) const {
  std::span<const PfnRange> all = pfn_ranges();
  return std::ranges::upper_bound(all, pfn, {}, &PfnRange::end);
}

bool PhysicalMap::contains_pfn(uint64_t pfn) const {
  auto range = first_pfn_range_after(pfn);
  return range != pfn_ranges().end() && range->begin <= pfn;
}

}  // namespace dw
