// A file descriptor that closes itself, and reads and writes that finish or say why not.
//
// Thread safety: Fd is owned by one thread; the positioned reads and writes may be called from
// several threads at once on one descriptor.
#pragma once

#include <cstdint>
#include <optional>
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
  // Whoever takes it closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  // Closes now and reports what close(2) said: on NFS and on quota it is the last word on earlier
  // writes. The descriptor is gone whatever it said.
  Status close();

 private:
  int fd_ = -1;
};

// A file to be read: all of what a descriptor leads to, or part of it, as a device may hold
// several. Offsets count from where the part begins. The descriptor belongs to somebody else.
class FileView {
 public:
  FileView(int fd) : fd_(fd) {}  // NOLINT(google-explicit-constructor): most files are whole
  FileView(int fd, uint64_t begin, uint64_t size) : fd_(fd), begin_(begin), size_(size) {}

  [[nodiscard]] int fd() const { return fd_; }
  // Of the part, in what the descriptor leads to, bytes; 0 if it is all of it.
  [[nodiscard]] uint64_t begin() const { return begin_; }
  [[nodiscard]] std::optional<uint64_t> size() const { return size_; }

 private:
  int fd_;
  uint64_t begin_ = 0;
  std::optional<uint64_t> size_;
};

// The same with its descriptor.
class ReadableFile {
 public:
  ReadableFile() = default;
  ReadableFile(Fd fd) : fd_(std::move(fd)) {}  // NOLINT(google-explicit-constructor)
  ReadableFile(Fd fd, uint64_t begin, uint64_t size)
      : fd_(std::move(fd)), begin_(begin), size_(size) {}

  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] FileView get() const {
    return size_ ? FileView(fd_.get(), begin_, *size_) : FileView(fd_.get());
  }
  // With a descriptor of its own.
  static Result<ReadableFile> duplicate(const FileView& file);

 private:
  Fd fd_;
  uint64_t begin_ = 0;
  std::optional<uint64_t> size_;
};

// open(2) with O_CLOEXEC; the error names `path`.
Result<Fd> open_file(const char* path, int flags, unsigned mode = 0);
Result<Fd> open_file_at(int directory, const char* name, int flags, unsigned mode = 0);

// A small file that somebody named, for reading. kBadInput: it is a pipe, a socket or a block
// device, which could be waited for without an end. A character device such as /dev/null may be
// one.
Result<Fd> open_small_file(const char* path);

// Size in bytes of a regular file or a block device. Zero for files that do not tell, such as most
// of /proc (but /proc/vmcore does).
Result<uint64_t> file_size(const FileView& file);

// Fills `into` from `offset`. A file that ends first is an error of kind kBadInput.
Status read_exact_at(const FileView& file, MutableBytes into, uint64_t offset);

// Reads up to the end of the file; returns the number of bytes read.
Result<size_t> read_up_to_at(const FileView& file, MutableBytes into, uint64_t offset);

// Writes all of `from` at `offset`, through short writes and EINTR.
Status write_all_at(int fd, Bytes from, uint64_t offset);

}  // namespace dw
