#include "capture/cli/memory_budget.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "capture/kernel/near_pages.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/window_classifier.h"

namespace dw {

MemoryNeeds capture_memory_needs(const PipelineOptions& pipeline, const WriterOptions& writer,
                                 size_t target_bytes, const Vmcore& vmcore) {
  PipelineOptions none = pipeline;
  none.threads = 0;
  PipelineOptions one = pipeline;
  one.threads = 1;
  uint64_t page_size = vmcore.page_size();
  uint64_t fixed = Pipeline::memory_bytes(none, page_size);
  // A thread judges pages in both passes, with a classifier for each.
  return {.fixed = kProgramBytes +
                   Plan::memory_bytes(vmcore.memory(), !keeps_bitmap(writer.format)) +
                   writer_memory_bytes(writer) + target_bytes + NearPages::memory_bytes() + fixed,
          .per_thread = Pipeline::memory_bytes(one, page_size) - fixed +
                        VmcorePageSource::memory_bytes() + WindowClassifier::memory_bytes()};
}

Result<unsigned> threads_that_fit(const MemoryNeeds& needs, unsigned wanted, uint64_t limit) {
  if (limit < needs.with(1)) {
    char numbers[100];
    std::snprintf(numbers, sizeof(numbers),
                  "a memory limit of %" PRIu64 " bytes, when %" PRIu64 " are needed", limit,
                  needs.with(1));
    return Error(ErrorKind::kUsage, "too little for one thread")
        .on(numbers)
        .hint("raise --memory-limit");
  }
  uint64_t room = (limit - needs.fixed) / needs.per_thread;
  return static_cast<unsigned>(std::min<uint64_t>(wanted, room));
}

}  // namespace dw
