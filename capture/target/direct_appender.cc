#include "capture/target/direct_appender.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "capture/base/checked.h"
#include "capture/target/file_steps.h"

namespace dw {

namespace {

// What every disk and file system takes for an aligned length and offset (at most a page).
constexpr uint64_t kBlock = 4096;
constexpr size_t kBufferBytes = 512 << 10;
constexpr uint64_t kReserveBytes = 64 << 20;

bool in_memory(int fd) {
  struct statfs status;
  return ::fstatfs(fd, &status) == 0 &&
         (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

// How much to reserve beyond what is needed: not what others need too. A file system that is asked
// for more than it has may keep what it found.
uint64_t room_ahead(int fd) {
  struct statfs status;
  if (::fstatfs(fd, &status) != 0 || status.f_bsize <= 0) return 0;
  uint64_t free = checked_mul<uint64_t>(status.f_bavail, static_cast<uint64_t>(status.f_bsize))
                      .value_or(UINT64_MAX);
  return align_down(std::min(kReserveBytes, free / 8), kBlock);
}

}  // namespace

std::optional<DirectAppender> DirectAppender::create(int directory, const char* name, int fd) {
  if (in_memory(fd)) return std::nullopt;
  Result<Fd> direct = open_file_at(directory, name, O_WRONLY | O_DIRECT);
  if (!direct.ok()) return std::nullopt;
  // The file's first block is used, or given back with the rest.
  Result<bool> reserved = reserve_range(fd, 0, kBlock);
  if (!reserved.ok() || !*reserved) return std::nullopt;
  Result<Buffer> buffer = Buffer::allocate(kBufferBytes);
  if (!buffer.ok()) return std::nullopt;
  return DirectAppender(std::move(*direct), fd, std::move(*buffer));
}

std::optional<DirectAppender> DirectAppender::create_on_device(int fd) {
  if (in_memory(fd)) return std::nullopt;
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  Result<Fd> direct = open_file(path.c_str(), O_WRONLY | O_DIRECT);
  if (!direct.ok()) return std::nullopt;
  Result<Buffer> buffer = Buffer::allocate(kBufferBytes);
  if (!buffer.ok()) return std::nullopt;
  DirectAppender appender(std::move(*direct), fd, std::move(*buffer));
  appender.reserves_ = false;
  return appender;
}

size_t DirectAppender::memory_bytes() { return kBufferBytes; }

// In the middle of a block: then what stands in front of it is written again with it.
Status DirectAppender::begin_at(uint64_t offset) {
  buffer_begin_ = align_down(offset, kBlock);
  reserved_end_ = buffer_begin_;
  used_ = offset - buffer_begin_;
  DW_ASSIGN(size_t read, read_up_to_at(fd_, buffer_.bytes().first(used_), buffer_begin_));
  std::memset(buffer_.data() + read, 0, used_ - read);  // the file may end before
  begun_ = true;
  return {};
}

Status DirectAppender::reserve(uint64_t end) {
  if (!reserves_ || end <= reserved_end_) return {};
  uint64_t wanted = align_up(end, kBlock) + room_ahead(fd_);
  Result<bool> reserved = reserve_range(fd_, reserved_end_, wanted);
  if (!reserved.ok()) {
    wanted = align_up(end, kBlock);
    reserved = reserve_range(fd_, reserved_end_, wanted);
  }
  if (!reserved.ok()) return reserved.error();
  if (!*reserved) return Error::from_errno("cannot reserve space", EOPNOTSUPP);
  reserved_end_ = wanted;
  return {};
}

Status DirectAppender::append(uint64_t offset, Bytes bytes) {
  if (!begun_) DW_TRY(begin_at(offset));
  DW_CHECK(offset == buffer_begin_ + used_);
  DW_TRY(reserve(offset + bytes.size()));
  while (!bytes.empty()) {
    // Up to the next multiple of the buffer's size, so that the pieces after the first are aligned
    // to that.
    size_t capacity = align_down(buffer_begin_, kBufferBytes) + kBufferBytes - buffer_begin_;
    size_t n = std::min(bytes.size(), capacity - used_);
    std::memcpy(buffer_.data() + used_, bytes.data(), n);
    used_ += n;
    bytes = bytes.subspan(n);
    if (used_ == capacity) DW_TRY(write_blocks(used_));
  }
  return {};
}

Status DirectAppender::write_blocks(size_t size) {
  DW_CHECK(size % kBlock == 0 && size <= used_);
  Bytes blocks = buffer_.bytes().first(size);
  Status written = write_all_at(direct_.get(), blocks, buffer_begin_);
  // Some file systems open a file with O_DIRECT and then want other alignments.
  if (!written.ok() && written.error().errno_value() == EINVAL)
    written = write_all_at(fd_, blocks, buffer_begin_);
  if (!written.ok()) return written;
  std::memmove(buffer_.data(), buffer_.data() + size, used_ - size);
  buffer_begin_ += size;
  used_ -= size;
  return {};
}

void DirectAppender::overwrite(uint64_t offset, Bytes bytes) {
  uint64_t begin = std::max(offset, buffer_begin_);
  uint64_t end = std::min(offset + bytes.size(), buffer_begin_ + used_);
  if (!begun_ || begin >= end) return;
  std::memcpy(buffer_.data() + (begin - buffer_begin_), bytes.data() + (begin - offset),
              end - begin);
}

Status DirectAppender::forget_from(uint64_t offset) {
  if (offset < end()) used_ = offset - std::min(offset, buffer_begin_);
  Status flushed = flush();
  begun_ = false;
  return flushed;
}

Status DirectAppender::flush() {
  if (!begun_) return {};
  if (used_ >= kBlock) DW_TRY(write_blocks(align_down(used_, kBlock)));
  return write_all_at(fd_, buffer_.bytes().first(used_), buffer_begin_);
}

Status DirectAppender::trim() {
  if (!reserves_) return {};
  DW_TRY(give_back_room(fd_));
  reserved_end_ = buffer_begin_;
  return {};
}

}  // namespace dw
