// How much memory a capture will take, and how many threads fit in what there is.
//
// Everything that grows is allocated and touched before the first byte of output, so what is
// decided here holds to the end. Thread safety: pure.
#pragma once

#include <cstdint>

#include "capture/base/result.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/pipeline.h"
#include "capture/source/vmcore.h"

namespace dw {

struct MemoryNeeds {
  uint64_t fixed = 0;       // bytes, whatever the number of threads
  uint64_t per_thread = 0;  // bytes

  [[nodiscard]] uint64_t with(unsigned threads) const { return fixed + threads * per_thread; }
};

// The program itself: its data, stacks and what the allocator keeps.
inline constexpr uint64_t kProgramBytes = 768 << 10;

// What a capture of `vmcore` allocates, with `target_bytes` for its target; pipeline.threads does
// not matter.
[[nodiscard]] MemoryNeeds capture_memory_needs(const PipelineOptions& pipeline,
                                               const WriterOptions& writer, size_t target_bytes,
                                               const Vmcore& vmcore);

// As many of `wanted` threads as `limit` bytes are enough for. Error kUsage, with the number of
// bytes that are needed, if that is none.
Result<unsigned> threads_that_fit(const MemoryNeeds& needs, unsigned wanted, uint64_t limit);

}  // namespace dw
