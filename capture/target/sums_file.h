// The side file of a dump, `vmcore.sums`, in its directory: appended to and read back.
//
// Thread safety: one thread. The directory's descriptor belongs to the caller.
#pragma once

#include <cstdint>

#include "capture/base/bytes.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"

namespace dw {

// The dump's checksums, beside it.
inline constexpr const char* kSumsName = "vmcore.sums";

class SumsFile {
 public:
  // Makes it empty, with mode 0600.
  static Result<SumsFile> create(int directory);
  // Goes on with the one that is there; an empty one is made if there is none.
  static Result<SumsFile> open(int directory);

  [[nodiscard]] uint64_t size() const { return size_; }
  Status append(Bytes bytes);
  Status read(uint64_t offset, MutableBytes into);
  [[nodiscard]] int descriptor() const { return file_.get(); }
  // As Target::preallocate_sums() and cut_sums().
  Status preallocate(uint64_t length);
  Status cut(uint64_t size);
  // What was appended is durable, under its name.
  Status sync();
  // Gives back the room that was made and not used: zeros in the file are cut off.
  void trim();

 private:
  SumsFile(int directory, Fd file, uint64_t size)
      : directory_(directory), file_(std::move(file)), size_(size) {}
  static Result<SumsFile> open_with(int directory, int flags);

  int directory_;
  Fd file_;
  uint64_t size_;
  bool has_room_ = false;  // behind size_
  bool named_ = false;     // its name is durable
};

}  // namespace dw
