#include "capture/format/stream_format.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "capture/pipeline/missing_page.h"

using namespace dw;

TEST_CASE("stream_format: the slot of a missing page is known again, whole only") {
  std::array<std::byte, 4096> page{};
  CHECK_FALSE(is_missing_page(page));
  fill_missing_page(page);
  CHECK(is_missing_page(page));
  CHECK(std::memcmp(page.data(), "dumpwright: this page", 21) == 0);
  for (size_t at : {size_t{0}, size_t{100}, page.size() - 1}) {
    std::array<std::byte, 4096> other = page;
    other[at] ^= std::byte{1};
    CHECK_FALSE(is_missing_page(other));
  }
}

TEST_CASE("stream_format: the closing frame's check covers every number") {
  const ClosingFrame frame{.flags = kClosingWhole, .content_bytes = 4096, .frames = 3};
  uint64_t check = closing_check(frame);
  for (size_t at = offsetof(ClosingFrame, signature); at < offsetof(ClosingFrame, check); ++at) {
    ClosingFrame other = frame;
    reinterpret_cast<char*>(&other)[at] ^= 0x10;
    CAPTURE(at);
    CHECK(closing_check(other) != check);
  }
  ClosingFrame checked = frame;
  checked.check = 1;
  CHECK(closing_check(checked) == check);
}
