// A fixed piece of zeroed memory that is asked for once, may be refused, and is really there.
//
// Memory comes from mmap(2) with MAP_POPULATE, so that running out shows here, before the first
// byte of a dump, and not as an OOM kill in the middle of one.
// Thread safety: owned by one thread; the bytes may be shared by agreement of their users.
#pragma once

#include <utility>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  // `size` in bytes, rounded up to whole pages by the kernel; page aligned.
  static Result<Buffer> allocate(size_t size);

  [[nodiscard]] MutableBytes bytes() { return {data_, size_}; }
  [[nodiscard]] Bytes bytes() const { return {data_, size_}; }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace dw
