// The plan of a dump that is written again, and its memory, both from its bitmaps.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/base/result.h"
#include "capture/format/kdump_reader.h"
#include "capture/plan/pass_one.h"
#include "capture/plan/plan.h"
#include "capture/source/physical_map.h"

namespace dw {

// What the bitmaps say.
struct DumpMemory {
  std::vector<uint64_t> windows;  // with a page in either bitmap: first pfn / kWindowPages
  std::vector<PfnRange> ranges;   // pages in either bitmap, sorted, disjoint and not touching
  uint64_t ram_pages = 0;         // in the first
};

// Error kUnsupported if there are more than `max_ranges` pieces.
Result<DumpMemory> read_memory(KdumpReader& reader, size_t max_ranges);

// Hands out the bitmaps window by window, ascending, and makes the plan. In a stream the chunks
// have the order in which their pages stand there, so that nothing is decompressed twice.
Result<Plan> make_plan(KdumpReader& reader, const DumpMemory& memory, bool in_order_of_data,
                       bool with_digests, const WindowBitmaps& bitmaps);

}  // namespace dw
