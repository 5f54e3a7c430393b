// A few KiB of a file at a time, for walking over small headers without a system call for each.
// Thread safety: one thread. The file must outlive it.
#pragma once

#include <array>
#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"

namespace dw {

class FileWindow {
 public:
  static constexpr size_t kBytes = 4096;

  explicit FileWindow(FileView file) : file_(file) {}

  // `count` bytes from `offset` on, at most kBytes; fewer where the file ends. They are valid until
  // the next call.
  Result<Bytes> look(uint64_t offset, size_t count);

 private:
  FileView file_;
  uint64_t begin_ = 0;
  size_t filled_ = 0;
  std::array<std::byte, kBytes> bytes_{};
};

// One past the last byte of the first `size` that is not zero. Where power went, a file may go on
// in zeros that nobody wrote.
Result<uint64_t> end_without_zeros(const FileView& file, uint64_t size);

}  // namespace dw
