#include "capture/format/stream_format.h"

#include <xxhash.h>

namespace dw {

uint64_t closing_check(const ClosingFrame& frame) {
  constexpr size_t kBegin = offsetof(ClosingFrame, signature);
  constexpr size_t kEnd = offsetof(ClosingFrame, check);
  return XXH3_64bits(reinterpret_cast<const char*>(&frame) + kBegin, kEnd - kBegin);
}

}  // namespace dw
