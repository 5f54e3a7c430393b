// A block device, or a file in its place, that holds at most one dump behind a superblock.
//
// Thread safety: one thread, but for fd(), which any may read and write. A sync that failed is
// final: every later one fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/raw/raw_superblock.h"

namespace dw {

struct RawOptions {
  bool force = false;      // whatever else is on the device; a regular file will do, too
  bool overwrite = false;  // a whole dump that nobody took off, too
};

class RawDevice {
 public:
  // To write to, for this process alone. Errors, with what to do: mounted or in use, no block
  // device, too small, holds something else.
  static Result<RawDevice> open(const std::string& path, const RawOptions& options);

  RawDevice(RawDevice&& other) noexcept;
  RawDevice& operator=(RawDevice&&) = delete;

  // Through the page cache.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  // Whole blocks, bytes.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  // Of another kind than ours was found, and is to be erased.
  [[nodiscard]] bool holds_foreign() const { return holds_foreign_; }

  // What is known to stand on the device; nothing if there is no superblock.
  [[nodiscard]] const std::optional<RawSuperblock>& superblock() const { return superblock_; }
  // Replaces it, but for the generation. What it speaks of is durable already, and so is it on
  // return. With `both` no copy of an older one is left.
  Status put_superblock(const RawSuperblock& superblock, bool both = false);

  // Returns when everything written so far will survive a power cut.
  Status sync();
  [[nodiscard]] bool failed() const { return failed_; }
  // A write failed, so that nothing is certain any more.
  void set_failed() { failed_ = true; }

  // Makes [begin, end) read as zeros.
  Status zero(uint64_t begin, uint64_t end);

 private:
  RawDevice(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Status check_kind(const RawOptions& options) const;
  Status measure();
  Result<const char*> foreign(const std::optional<FoundSuperblock>& found) const;
  Status look(const RawOptions& options);
  Status make_zeros(uint64_t begin, uint64_t end);
  Status write_copy(const RawSuperblock& superblock);

  std::string path_;
  Fd fd_;
  uint64_t bytes_ = 0;
  bool holds_foreign_ = false;
  std::optional<RawSuperblock> superblock_;
  unsigned next_copy_ = 0;
  uint64_t generation_ = 0;
  std::atomic<bool> failed_ = false;
};

// With what a person can do about it, where that is known.
[[nodiscard]] Error on_raw_device(Error error, const std::string& subject);

}  // namespace dw
