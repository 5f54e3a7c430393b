#include "capture/source/physical_map.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

namespace {

Segment segment(uint64_t physical, uint64_t size, uint64_t offset) {
  return {.file_offset = offset,
          .virtual_address = 0,
          .physical_address = physical,
          .file_size = size,
          .memory_size = size};
}

PhysicalMap map_of(const std::vector<Segment>& segments) {
  return PhysicalMap::from_segments(segments, 4096);
}

std::vector<PhysicalRange> ranges(const PhysicalMap& map) {
  return {map.ranges().begin(), map.ranges().end()};
}

std::vector<PfnRange> pfns(const PhysicalMap& map) {
  return {map.pfn_ranges().begin(), map.pfn_ranges().end()};
}

}  // namespace

TEST_CASE("physical_map: the kernel image inside RAM counts once") {
  // As in every x86_64 vmcore: the image first, then the RAM around it.
  PhysicalMap map =
      map_of({segment(0x1000000, 0x200000, 0x10000), segment(0x100000, 0x3f00000, 0x210000)});
  CHECK(ranges(map) == std::vector<PhysicalRange>{{0x100000, 0x4000000, 0x210000}});
  CHECK(map.page_count() == 0x3f00);
}

TEST_CASE("physical_map: overlaps leave each byte with one place in the file") {
  PhysicalMap map = map_of({segment(0x1000, 0x3000, 0x100000), segment(0x3000, 0x3000, 0x200000)});
  CHECK(ranges(map) ==
        std::vector<PhysicalRange>{{0x1000, 0x4000, 0x100000}, {0x4000, 0x6000, 0x201000}});
  CHECK(map.page_count() == 5);
}

TEST_CASE("physical_map: nested and equal segments vanish in the larger one") {
  PhysicalMap map = map_of({segment(0x1000, 0x8000, 0x1000), segment(0x1000, 0x1000, 0x90000),
                            segment(0x2000, 0x1000, 0xa0000), segment(0x1000, 0x8000, 0xb0000)});
  CHECK(map.ranges().size() == 1);
  CHECK(map.page_count() == 8);
}

TEST_CASE("physical_map: the order of the segments does not matter") {
  PhysicalMap map = map_of({segment(0x9000, 0x1000, 0x3000), segment(0x1000, 0x1000, 0x1000),
                            segment(0x5000, 0x1000, 0x2000)});
  CHECK(pfns(map) == std::vector<PfnRange>{{1, 2}, {5, 6}, {9, 10}});
  CHECK(map.end_pfn() == 10);
}

TEST_CASE("physical_map: what follows in memory and in the file is joined, else only its pages") {
  PhysicalMap joined = map_of({segment(0x1000, 0x1000, 0x1000), segment(0x2000, 0x1000, 0x2000)});
  CHECK(ranges(joined) == std::vector<PhysicalRange>{{0x1000, 0x3000, 0x1000}});
  PhysicalMap apart = map_of({segment(0x1000, 0x1000, 0x1000), segment(0x2000, 0x1000, 0x9000)});
  CHECK(apart.ranges().size() == 2);
  CHECK(pfns(apart) == std::vector<PfnRange>{{1, 3}});
}

TEST_CASE("physical_map: a page that is partly there counts, and counts once") {
  PhysicalMap map = map_of({segment(0x1000, 0x1c00, 0x1000), segment(0x2e00, 0x400, 0x9000)});
  CHECK(pfns(map) == std::vector<PfnRange>{{1, 4}});
  CHECK(map.page_count() == 3);
  CHECK(map.contains_pfn(3));
  CHECK_FALSE(map.contains_pfn(4));
  CHECK_FALSE(map.contains_pfn(0));
}

TEST_CASE("physical_map: memory that is claimed but not brought is not there") {
  Segment cut = segment(0x1000, 0x1000, 0x1000);
  cut.memory_size = 0x100000;
  Segment none = segment(0x800000, 0, 0x2000);
  none.memory_size = 0x1000;
  PhysicalMap map = map_of({cut, none});
  CHECK(map.page_count() == 1);
  CHECK(map.end_pfn() == 2);
}

TEST_CASE("physical_map: above 4 GiB and up to the last address") {
  uint64_t top = kMaxPhysicalAddress - 0x1000;
  PhysicalMap map = map_of({segment(0x1000, 0x1000, 0), segment(0x100000000, 0x2000, 0x1000),
                            segment(top, 0x1000, 0x3000)});
  CHECK(map.contains_pfn(0x100001));
  CHECK(map.end_pfn() == kMaxPhysicalAddress / 4096);
  CHECK(map.page_count() == 4);
}

TEST_CASE("physical_map: many segments") {
  std::vector<Segment> segments;
  constexpr uint64_t kCount = 100000;
  for (uint64_t i = kCount; i-- > 0;) segments.push_back(segment(i * 0x4000, 0x1000, i * 0x1000));
  PhysicalMap map = map_of(segments);
  CHECK(map.ranges().size() == kCount);
  CHECK(map.page_count() == kCount);
  CHECK(map.contains_pfn(4 * 77777));
  CHECK_FALSE(map.contains_pfn(4 * 77777 + 1));
}

TEST_CASE("physical_map: looking up the next range") {
  PhysicalMap map = map_of({segment(0x1000, 0x1000, 0), segment(0x5000, 0x1000, 0x1000)});
  CHECK(map.first_range_after(0)->begin == 0x1000);
  CHECK(map.first_range_after(0x1fff)->begin == 0x1000);
  CHECK(map.first_range_after(0x2000)->begin == 0x5000);
  CHECK(map.first_range_after(0x6000) == map.ranges().end());
  CHECK(map.first_pfn_range_after(2)->begin == 5);
  CHECK(map.first_pfn_range_after(6) == map.pfn_ranges().end());
}

TEST_CASE("physical_map: larger pages") {
  std::vector<Segment> segments = {segment(0x10000, 0x8000, 0), segment(0x1f000, 0x1000, 0x8000)};
  PhysicalMap map = PhysicalMap::from_segments(segments, 65536);
  CHECK(map.page_count() == 1);
  CHECK(map.end_pfn() == 2);
}

TEST_CASE("physical_map: nothing") {
  PhysicalMap map = map_of({});
  CHECK(map.page_count() == 0);
  CHECK(map.end_pfn() == 0);
  CHECK_FALSE(map.contains_pfn(0));
}
