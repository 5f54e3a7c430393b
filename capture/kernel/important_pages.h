// The pages without which no dump can be opened: the kernel image, the log buffer, the kernel's
// page tables, and the stacks that the CPUs stood on. A dump saves them first, so that one cut
// early can still be looked at.
//
// All that is read here is untrusted: every length has a limit and every walk an end. What cannot
// be found is left out; the pages are then saved in their usual place.
// Thread safety: pure functions of the vmcore.
#pragma once

#include <vector>

#include "capture/kernel/layout.h"
#include "capture/source/physical_map.h"
#include "capture/source/vmcore.h"

namespace dw {

struct ImportantPages {
  std::vector<PfnRange> ranges;  // sorted, disjoint, not touching; some may not be in the vmcore
  uint64_t table_count = 0;      // page tables among them
  bool cut = false;              // there were more page tables than kMaxPageTables
};

// Enough for the direct map of 32 TiB in 2 MiB pages; 1 MiB of memory at most.
inline constexpr uint64_t kMaxPageTables = 1 << 16;
// log_buf_len= may ask for more, but then the tail can wait.
inline constexpr uint64_t kMaxLogBytes = 64 << 20;

// VMCOREINFO itself stands in the dump's notes; the kernel does not export where it keeps its copy.
[[nodiscard]] ImportantPages find_important_pages(const Vmcore& vmcore, const VmcoreLayout& layout);

}  // namespace dw
