// Appends to a file past the page cache (O_DIRECT), in large aligned pieces.
//
// In a capture kernel the page cache is taken from the same few megabytes as everything else, and
// copying into it costs more than the disk. Bytes are collected in a buffer of 512 KiB; their space
// is reserved when they are taken, so that a full disk shows then and not when they are written.
// What is left of a block goes through the page cache when the file is synced, and is written again
// with the bytes that follow it. Thread safety: one thread. The descriptor for the page cache
// belongs to the caller.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/buffer.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"

namespace dw {

class DirectAppender {
 public:
  // For the file `name` in `directory`, which is open as `fd` too. Nothing where it would not help
  // or is not possible: file systems in memory, no O_DIRECT, no fallocate(2), no memory for the
  // buffer.
  static std::optional<DirectAppender> create(int directory, const char* name, int fd);
  // For a block device that is open as `fd`: offsets are those of the device, and all of it is
  // there to be written to. Nothing as above; a regular file will do.
  static std::optional<DirectAppender> create_on_device(int fd);
  [[nodiscard]] static size_t memory_bytes();

  // Goes on where the last call ended; the first may begin anywhere. Error kNoSpace: where space
  // can be reserved, nothing of `bytes` was taken and what was taken before has its place. A file
  // system that breaks its promise (quotas, thin volumes) fails the next flush() too.
  Status append(uint64_t offset, Bytes bytes);

  // The caller has written `bytes` at `offset` of the file: what is held back of them, or would be
  // written again with the rest of its block, is now that. Not for what was never handed over.
  void overwrite(uint64_t offset, Bytes bytes);

  // Where the next append() goes on; 0 before the first.
  [[nodiscard]] uint64_t end() const { return begun_ ? buffer_begin_ + used_ : 0; }

  // Forgets what is held back from `offset` on and hands the rest to the file; the next append()
  // may begin anywhere.
  Status forget_from(uint64_t offset);

  // Hands everything to the file; to be followed by fdatasync(2).
  Status flush();

  // Gives back what is reserved behind the end of the file.
  Status trim();

 private:
  DirectAppender(Fd direct, int fd, Buffer buffer)
      : direct_(std::move(direct)), fd_(fd), buffer_(std::move(buffer)) {}

  Status begin_at(uint64_t offset);
  Status reserve(uint64_t end);
  // Writes the first `size` bytes of the buffer, whole blocks.
  Status write_blocks(size_t size);

  Fd direct_;
  int fd_;
  Buffer buffer_;
  bool reserves_ = true;  // space is asked for before it is written to
  bool begun_ = false;
  uint64_t buffer_begin_ = 0;  // offset of the buffer in the file, a multiple of the block
  size_t used_ = 0;            // bytes in it
  uint64_t reserved_end_ = 0;
};

}  // namespace dw
