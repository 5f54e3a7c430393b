#include "capture/base/buffer.h"

#include <sys/mman.h>

#include <cerrno>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // linux/mman.h; older C libraries lack it
#endif

namespace dw {

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Buffer> Buffer::allocate(size_t size) {
  DW_CHECK(size > 0);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED)
    return Error::from_errno("cannot allocate memory")
        .hint("use fewer threads or a larger crashkernel=");
  // MAP_POPULATE does not say when it could not. Kernels before 5.14 do not know the question.
  if (::madvise(memory, size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    Error error = Error::from_errno("cannot allocate memory");
    ::munmap(memory, size);
    return error.hint("use fewer threads or a larger crashkernel=");
  }
  Buffer buffer;
  buffer.data_ = static_cast<std::byte*>(memory);
  buffer.size_ = size;
  return buffer;
}

}  // namespace dw
