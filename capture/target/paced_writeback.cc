#include "capture/target/paced_writeback.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dw {

namespace {

constexpr uint64_t kPieceBytes = 2 << 20;
constexpr uint64_t kPieceBytesBesideDirect = 256 << 10;

}  // namespace

Status PacedWriteback::wrote(int fd, uint64_t offset, uint64_t length, bool beside_direct) {
  std::lock_guard lock(mutex_);
  // Not every format is written from front to back: what counts is how much is dirty, not where.
  dirty_bytes_ += length;
  dirty_.begin = std::min(dirty_.begin, offset);
  dirty_.end = std::max(dirty_.end, offset + length);
  if (dirty_bytes_ < (beside_direct ? kPieceBytesBesideDirect : kPieceBytes)) return {};
  dirty_bytes_ = 0;
  Span now = std::exchange(dirty_, {});
  Span before = std::exchange(under_way_, now);
  DW_TRY(write_back(fd, now, SYNC_FILE_RANGE_WRITE));
  if (before.end == 0) return {};
  return write_back(
      fd, before, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

Status PacedWriteback::write_back(int fd, const Span& span, unsigned flags) {
  if (::sync_file_range(fd, static_cast<off_t>(span.begin),
                        static_cast<off_t>(span.end - span.begin), flags) == 0)
    return {};
  // Not every file system can; pacing is then left to the kernel.
  if (errno == ENOSYS || errno == EINVAL || errno == ESPIPE) return {};
  return Error::from_errno("cannot write to the disk");
}

}  // namespace dw
