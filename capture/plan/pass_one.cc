#include "capture/plan/pass_one.h"

#include <array>

#include "capture/plan/presence.h"

namespace dw {

Result<Plan> plan_pages(const Vmcore& vmcore) {
  DW_ASSIGN(PlanBuilder builder, PlanBuilder::create(vmcore.memory()));
  std::array<std::byte, kWindowPages / 8> bits;
  std::array<ChunkPriority, kWindowChunks> priorities;
  priorities.fill(ChunkPriority::kKernel);
  for (size_t window = 0; window < builder.window_count(); ++window) {
    present_bits(vmcore.memory(), builder.first_pfn(window), bits);
    builder.set_window(window, bits, priorities);
  }
  return std::move(builder).finish();
}

}  // namespace dw
