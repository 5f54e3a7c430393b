// Where pass 2 gets pages from: a vmcore, or a dump that is converted.
//
// Thread safety: one object per thread, made before the first byte of output.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/plan/plan.h"

namespace dw {

class PageSource {
 public:
  PageSource() = default;
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;
  virtual ~PageSource() = default;

  // The pages of the chunk that starts at `first_pfn` which are to be kept, as they are judged now.
  virtual ChunkBits judge(uint64_t first_pfn) = 0;

  // Copies pages [first_pfn, first_pfn + count), count at most 64, to `into` (count pages). Bit i
  // of the result is set if page first_pfn + i is now there whole.
  [[nodiscard]] virtual uint64_t read_pages(uint64_t first_pfn, unsigned count,
                                            MutableBytes into) = 0;
};

// Called once for each thread of a pipeline.
using PageSourceFactory = std::function<Result<std::unique_ptr<PageSource>>()>;

}  // namespace dw
