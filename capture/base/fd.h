// A file descriptor that closes itself, and reads and writes that finish or say why not.
//
// Thread safety: Fd is owned by one thread; the positioned reads and writes may be called from
// several threads at once on one descriptor.
#pragma once

#include <utility>

#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

  // Closes now and reports what close(2) said: on NFS and on quota it is the last word on earlier
  // writes. The descriptor is gone whatever it said.
  Status close();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC; the error names `path`.
Result<Fd> open_file(const char* path, int flags, unsigned mode = 0);
Result<Fd> open_file_at(int directory, const char* name, int flags, unsigned mode = 0);

// Size in bytes of a regular file or a block device. Zero for files that do not tell, such as most
// of /proc (but /proc/vmcore does).
Result<uint64_t> file_size(int fd);

// Fills `into` from `offset`. A file that ends first is an error of kind kBadInput.
Status read_exact_at(int fd, MutableBytes into, uint64_t offset);

// Reads up to the end of the file; returns the number of bytes read.
Result<size_t> read_up_to_at(int fd, MutableBytes into, uint64_t offset);

// Writes all of `from` at `offset`, through short writes and EINTR.
Status write_all_at(int fd, Bytes from, uint64_t offset);

}  // namespace dw
