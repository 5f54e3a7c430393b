#include "capture/plan/presence.h"

#include <algorithm>

namespace dw {

namespace {

// Sets bits [begin, end).
void set_bits(MutableBytes bits, uint64_t begin, uint64_t end) {
  while (begin < end && begin % 8 != 0) {
    bits[begin / 8] |= std::byte{1} << (begin % 8);
    ++begin;
  }
  std::ranges::fill(bits.subspan(begin / 8, end / 8 - std::min(begin / 8, end / 8)),
                    std::byte{0xff});
  for (begin = std::max(begin, end / 8 * 8); begin < end; ++begin)
    bits[begin / 8] |= std::byte{1} << (begin % 8);
}

}  // namespace

void present_bits(const PhysicalMap& memory, uint64_t first_pfn, MutableBytes bits) {
  DW_CHECK(first_pfn % 8 == 0);
  std::ranges::fill(bits, std::byte{0});
  uint64_t end_pfn = first_pfn + bits.size() * 8;
  for (auto range = memory.first_pfn_range_after(first_pfn);
       range != memory.pfn_ranges().end() && range->begin < end_pfn; ++range)
    set_bits(bits, std::max(range->begin, first_pfn) - first_pfn,
             std::min(range->end, end_pfn) - first_pfn);
}

}  // namespace dw
