#include "capture/cli/memory_budget.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace dw {

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
