// What became of a page on its way to an encoder. Plain data.
#pragma once

#include <cstdint>

namespace dw {

enum class PageState : uint8_t {
  kStored,   // `size` bytes at `where` of the batch's data, compressed if that is less than a page
  kZero,     // all zeros: points to the shared zero page
  kMissing,  // could not be had: its descriptor stays all zero
  kSame,     // the bytes of a page of the same batch, stored at `where` of the batch's data
  kEarlier,  // the bytes of a page of an earlier batch, which stand at `where` in the file
};

struct PageRecord {
  uint32_t size = 0;
  PageState state = PageState::kMissing;
  uint64_t where = 0;
};

}  // namespace dw
