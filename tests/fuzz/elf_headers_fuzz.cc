// A whole vmcore of any content: headers, the map of physical memory, reading pages, the crash's
// name.
#include <algorithm>
#include <string>
#include <vector>

#include "capture/cli/crash_facts.h"
#include "capture/source/vmcore.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace dw;
using dw::fuzz::require;

void check_segments(const ElfHeaders& headers, uint64_t file_size) {
  require(!headers.segments.empty() && headers.segments.size() <= kMaxSegments);
  require(headers.notes.size() <= kMaxNotesBytes);
  for (const Segment& segment : headers.segments) {
    require(segment.file_offset <= file_size);
    require(segment.file_size <= file_size - segment.file_offset);
    require(segment.physical_address <= kMaxPhysicalAddress);
    require(segment.memory_size <= kMaxPhysicalAddress - segment.physical_address);
  }
}

void check_map(const PhysicalMap& memory, uint64_t file_size) {
  uint64_t end = 0;
  for (const PhysicalRange& range : memory.ranges()) {
    require(range.begin >= end && range.begin < range.end);
    require(range.file_offset + (range.end - range.begin) <= file_size);
    end = range.end;
  }
  uint64_t pages = 0;
  uint64_t end_pfn = 0;
  for (const PfnRange& range : memory.pfn_ranges()) {
    require((pages == 0 || range.begin > end_pfn) && range.begin < range.end);
    pages += range.end - range.begin;
    end_pfn = range.end;
  }
  require(pages == memory.page_count() && end_pfn == memory.end_pfn());
}

void read_some(const Vmcore& vmcore) {
  VmcoreReader reader(vmcore);
  std::vector<std::byte> pages(64 * vmcore.page_size());
  auto ranges = vmcore.memory().pfn_ranges();
  for (const PfnRange& range : ranges.first(std::min<size_t>(ranges.size(), 16))) {
    uint64_t readable = reader.read_pages(range.begin, 64, pages);
    uint64_t count = std::min<uint64_t>(range.end - range.begin, 64);
    // Every page of the map can be had: the file holds it.
    uint64_t all = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    require((readable & all) == all);
  }
  (void)reader.read(0x1000, std::span(pages).first(100));
}

void check_name(const std::string& name) {
  require(!name.empty() && name.size() <= 64 + 17);
  require(name.find('/') == std::string::npos && name[0] != '.' && name[0] != '-');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Fd fd = dw::fuzz::memory_file(data, size);
  std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  Result<Vmcore> vmcore =
      Vmcore::open(path.c_str(), size % 2 == 0 ? ReadMethod::kRead : ReadMethod::kMap);
  if (!vmcore.ok()) {
    char text[512];
    vmcore.error().format(text, sizeof(text));
    return 0;
  }
  check_segments(vmcore->headers(), size);
  check_map(vmcore->memory(), size);
  read_some(*vmcore);
  check_name(dump_name(read_crash_facts(*vmcore)));
  return 0;
}
