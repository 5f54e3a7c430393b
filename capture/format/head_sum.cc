#include "capture/format/head_sum.h"

#include <algorithm>
#include <cstring>

#include "capture/base/check.h"
#include "capture/codec/running_digest.h"

namespace dw {

void HeadSum::add(uint64_t offset, Bytes bytes) {
  DW_CHECK(offset % sizeof(uint64_t) == 0);
  uint64_t sum = 0;
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
    if (word != 0) sum += digest64(bytes_of(word), offset + at);
  }
  sum_ += sum;
}

}  // namespace dw
