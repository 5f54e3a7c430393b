// Hands what was written through the page cache to the disk, piece by piece: dirty pages are memory
// that the capture kernel does not have.
//
// Thread safety: wrote() may be called from several threads at once.
#pragma once

#include <cstdint>
#include <mutex>

#include "capture/base/result.h"

namespace dw {

class PacedWriteback {
 public:
  PacedWriteback() = default;
  PacedWriteback(PacedWriteback&& other) noexcept
      : dirty_bytes_(other.dirty_bytes_), dirty_(other.dirty_), under_way_(other.under_way_) {}
  PacedWriteback& operator=(PacedWriteback&&) = delete;

  // `length` bytes were written at `offset` of `fd`. Once a piece is dirty it is handed on, and the
  // one before it waited for: at most two are under way. Where pages go past the page cache
  // (`beside_direct`), only descriptors and the like come here, and the pieces are small. An error
  // is as final as one of fdatasync(2), which would not report it any more.
  Status wrote(int fd, uint64_t offset, uint64_t length, bool beside_direct);

 private:
  struct Span {  // of the file, in bytes
    uint64_t begin = UINT64_MAX;
    uint64_t end = 0;
  };

  static Status write_back(int fd, const Span& span, unsigned flags);

  std::mutex mutex_;
  uint64_t dirty_bytes_ = 0;  // written to dirty_
  Span dirty_;                // not handed to the disk yet
  Span under_way_;            // handed to the disk before that
};

}  // namespace dw
