// Takes back descriptors that an interrupted run wrote for pages that will be written again: what
// they point to may be another page then.
//
// A descriptor that crosses a sector gets the size of an unsettled one first, and loses its offset
// after a sync, so that neither half of it is ever taken for a page (see descriptor_table.h).
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <span>

#include "capture/base/result.h"
#include "capture/format/kdump_format.h"
#include "capture/plan/plan.h"
#include "capture/target/target.h"

namespace dw {

class DescriptorEraser {
 public:
  // `layout` says where the table stands.
  DescriptorEraser(Target& target, const Plan& plan, const KdumpLayout& layout)
      : target_(&target), plan_(&plan), layout_(&layout) {}

  // All of batch `first` and those behind it that may have been written: up to where none were
  // found for as many as a run can be ahead of its journal, which has `listed` batches. Synced on
  // return.
  Status erase(uint64_t first, uint64_t listed);

 private:
  enum class Step : uint8_t { kSizes, kOffsets };

  // Returns the batch behind the last one it looked at.
  Result<uint64_t> run(Step step, uint64_t first, uint64_t end, uint64_t listed);
  // Whether there were any.
  Result<bool> erase_chunk(Step step, const PlannedChunk& chunk);
  // Whether anything changed.
  static bool change(Step step, uint64_t at, std::span<PageDescriptor> descriptors);

  Target* target_;
  const Plan* plan_;
  const KdumpLayout* layout_;
};

}  // namespace dw
