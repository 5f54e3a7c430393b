#include "capture/target/server/range_set.h"

#include <algorithm>
#include <utility>

#include "capture/base/check.h"

namespace dw {

RangeSet::RangeSet(size_t most) : most_(most) {
  ranges_.resize(most);  // touched now, so that it is there when it is needed
  ranges_.clear();
}

bool RangeSet::overlaps(uint64_t begin, uint64_t end) const {
  auto first =
      std::ranges::upper_bound(ranges_, begin, {}, [](const Range& range) { return range.end; });
  return begin < end && first != ranges_.end() && first->begin < end;
}

bool RangeSet::add(uint64_t begin, uint64_t end) {
  DW_CHECK(begin <= end);
  if (begin == end) return true;
  auto first =
      std::ranges::lower_bound(ranges_, begin, {}, [](const Range& range) { return range.end; });
  auto last = first;
  for (; last != ranges_.end() && last->begin <= end; ++last) {
    begin = std::min(begin, last->begin);
    end = std::max(end, last->end);
  }
  if (first == last) {
    if (ranges_.size() == most_) return false;
    ranges_.insert(first, {.begin = begin, .end = end});
    return true;
  }
  *first = {.begin = begin, .end = end};
  ranges_.erase(first + 1, last);
  return true;
}

void RangeSet::swap(RangeSet& other) noexcept {
  std::swap(most_, other.most_);
  ranges_.swap(other.ranges_);
}

}  // namespace dw
