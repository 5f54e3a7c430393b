// What stands on a partition, to be read: the dump, its list of checksums, the files beside it.
//
// Everything is untrusted. Thread safety: as ReadableFile; mark_taken_off() opens the device
// itself.
#pragma once

#include <string>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/raw/raw_superblock.h"

namespace dw {

// What its files are called: the dump (FILE or FILE.incomplete), vmcore.sums, and the small ones.
// ENOENT without a subject if there is none. A small file whose content does not match its digest
// is kBadInput.
Result<ReadableFile> open_raw_file(int device, const RawSuperblock& superblock,
                                   const std::string& file);

class RawContents {
 public:
  // `path` is a block device or a copy of one. Errors name it: kBadInput if no dump is there.
  static Result<RawContents> open(const std::string& path);

  [[nodiscard]] const RawSuperblock& superblock() const { return superblock_; }
  // FILE or FILE.incomplete; empty if there are small files only.
  [[nodiscard]] std::string dump_name() const;
  Result<ReadableFile> open_file(const std::string& file) const;
  // The dump's folder, for messages.
  [[nodiscard]] std::string display() const { return path_ + ":" + superblock_.name; }

  // From now on a capture overwrites it without asking. Durable on return. Error, on the device: it
  // cannot be written to, is in use, or holds another dump by now.
  [[nodiscard]] Status mark_taken_off() const;

 private:
  RawContents(std::string path, Fd fd, RawSuperblock superblock)
      : path_(std::move(path)), fd_(std::move(fd)), superblock_(std::move(superblock)) {}

  std::string path_;
  Fd fd_;
  RawSuperblock superblock_;
};

}  // namespace dw
