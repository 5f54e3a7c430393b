#include "capture/target/sums_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/target/file_steps.h"

namespace dw {

// Whatever stands under the name: it is neither followed nor waited for.
Result<SumsFile> SumsFile::open_with(int directory, int flags) {
  DW_ASSIGN(Fd file, open_file_at(directory, kSumsName,
                                  O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | flags, 0600));
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return Error::from_errno("cannot get the size");
  if (!S_ISREG(status.st_mode)) return Error(ErrorKind::kBadInput, "is not a regular file");
  return SumsFile(directory, std::move(file), static_cast<uint64_t>(status.st_size));
}

Result<SumsFile> SumsFile::create(int directory) { return open_with(directory, O_TRUNC); }

Result<SumsFile> SumsFile::open(int directory) { return open_with(directory, 0); }

Status SumsFile::append(Bytes bytes) {
  DW_TRY(write_all_at(file_.get(), bytes, size_));
  size_ += bytes.size();
  return {};
}

Status SumsFile::read(uint64_t offset, MutableBytes into) {
  return read_exact_at(file_.get(), into, offset);
}

Status SumsFile::preallocate(uint64_t length) {
  if (length <= size_) return {};
  has_room_ = true;
  DW_ASSIGN(bool reserved, reserve_range(file_.get(), size_, length));
  return reserved ? Status() : write_zeros(file_.get(), size_, length);
}

Status SumsFile::cut(uint64_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0)
    return Error::from_errno("cannot truncate");
  size_ = size;
  has_room_ = false;
  return {};
}

Status SumsFile::sync() {
  if (::fdatasync(file_.get()) != 0) return Error::from_errno("cannot sync");
  if (!named_) DW_TRY(sync_fd(directory_, "cannot sync the directory"));
  named_ = true;
  return {};
}

// Room that stays is of no harm: neither records nor zeros are.
void SumsFile::trim() {
  if (has_room_) (void)cut(size_);
}

}  // namespace dw
