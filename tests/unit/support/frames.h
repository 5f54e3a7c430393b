// The frames of a stream, walked and decompressed by the libraries' own means: what a plain
// decompressor would see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/target/memory_target.h"

namespace dw::test {

struct Frame {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint32_t magic = 0;
  std::vector<std::byte> content;  // empty for a skippable frame
};

// The whole frames from the beginning on, up to the first that is cut, damaged or no frame at all.
std::vector<Frame> whole_frames(Bytes file);

// Their content.
std::vector<std::byte> content_of(const std::vector<Frame>& frames);

// A target that only appends, as a pipe does, and stops the program if asked for more.
class AppendTarget : public MemoryTarget {
 public:
  [[nodiscard]] bool rewritable() const override { return false; }
  Status preallocate(uint64_t offset, uint64_t length) override;
  Status write_at(uint64_t offset, Bytes bytes) override;
  Status read_at(uint64_t offset, MutableBytes into) override;
  Status append_sums(Bytes bytes) override;
  Status read_sums(uint64_t offset, MutableBytes into) override;
};

}  // namespace dw::test
