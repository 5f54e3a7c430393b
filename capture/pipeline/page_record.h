// What became of a page on its way to an encoder. Plain data.
#pragma once

#include <cstdint>

namespace dw {

enum class PageState : uint8_t {
  kStored,   // `size` bytes of the chunk's data, compressed if that is less than a page
  kZero,     // all zeros: points to the shared zero page
  kMissing,  // could not be had: its descriptor stays all zero
};

struct PageRecord {
  uint32_t size;
  PageState state;
};

}  // namespace dw
