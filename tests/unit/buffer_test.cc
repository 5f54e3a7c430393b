#include "capture/base/buffer.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/support/text.h"

using namespace dw;

TEST_CASE("buffer: is zeroed and page aligned") {
  Result<Buffer> buffer = Buffer::allocate(10000);
  REQUIRE(buffer.ok());
  CHECK(buffer->size() == 10000);
  CHECK(reinterpret_cast<uintptr_t>(buffer->data()) % 4096 == 0);
  CHECK(std::ranges::all_of(buffer->bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("buffer: memory that is not there is an error, not a signal") {
  Result<Buffer> buffer = Buffer::allocate(size_t{1} << 60);
  REQUIRE_FALSE(buffer.ok());
  CHECK(buffer.error().kind() == ErrorKind::kNoMemory);
  CHECK(test::contains(test::text_of(buffer), "larger crashkernel="));
}

TEST_CASE("buffer: moving hands the memory over") {
  Buffer first = std::move(Buffer::allocate(4096).value());
  std::byte* data = first.data();
  Buffer second = std::move(first);
  CHECK(second.data() == data);
  Buffer third = std::move(Buffer::allocate(4096).value());
  third = std::move(second);
  CHECK(third.data() == data);
}
