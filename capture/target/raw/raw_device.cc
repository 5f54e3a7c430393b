#include "capture/target/raw/raw_device.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "capture/base/checked.h"
#include "capture/target/file_steps.h"
#include "capture/target/raw/device_content.h"

namespace dw {

namespace {

// Less would hold no dump of any kernel.
constexpr uint64_t kLeastBytes = 1 << 20;
// Zeros are asked for in pieces: the kernel makes them without being interrupted.
constexpr uint64_t kZeroPiece = 64 << 20;

// The kernel lets one open a device like this, and none that is mounted or part of something.
constexpr int kAlone = O_EXCL;

constexpr const char* kForeignHint =
    "nothing was written; if it is not needed any more: wipefs -a, or add ?force=yes";

constexpr const char* kInUseHint =
    "it is mounted, a swap area, part of a RAID or volume group, or another capture writes to it";

Status zero_with_writes(int fd, uint64_t begin, uint64_t end) {
  return begin < end ? write_zeros(fd, begin, end) : Status();
}

}  // namespace

Error on_raw_device(Error error, const std::string& subject) {
  if (error.kind() == ErrorKind::kNoSpace)
    error.hint("use a larger partition, or a higher dump level");
  return error.subject().empty() ? error.on(subject) : error;
}

RawDevice::RawDevice(RawDevice&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      bytes_(other.bytes_),
      holds_foreign_(other.holds_foreign_),
      superblock_(std::move(other.superblock_)),
      next_copy_(other.next_copy_),
      generation_(other.generation_),
      failed_(other.failed_.load()) {}

Result<RawDevice> RawDevice::open(const std::string& path, const RawOptions& options) {
  Result<Fd> fd = open_file(path.c_str(), O_RDWR | kAlone | O_NONBLOCK);
  if (!fd.ok()) {
    Error error = fd.error();
    if (error.errno_value() == EBUSY) error.hint(kInUseHint);
    return error;
  }
  RawDevice device(path, std::move(*fd));
  read_without_readahead(device.fd());
  for (Status step : {device.check_kind(options), device.measure()})
    if (!step.ok()) return Error(step.error()).on(path);
  Status looked = device.look(options);
  if (!looked.ok()) return Error(looked.error()).on(path);
  return device;
}

Status RawDevice::check_kind(const RawOptions& options) const {
  struct stat status;
  if (::fstat(fd_.get(), &status) != 0) return Error::from_errno("cannot look at");
  if (S_ISBLK(status.st_mode)) return {};
  if (!S_ISREG(status.st_mode) || !options.force)
    return Error(ErrorKind::kUsage, "is no block device")
        .hint("name a partition, or a directory without raw:");
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  return Error::from_errno("cannot lock").hint("another capture writes to it");
}

Status RawDevice::measure() {
  DW_ASSIGN(uint64_t size, file_size(fd_.get()));
  bytes_ = align_down(size, kRawBlock);
  if (bytes_ >= kLeastBytes) return {};
  return Error(ErrorKind::kNoSpace, "is too small for a dump").hint("use a larger partition");
}

// Why the device must not be written to; nothing if it may.
Result<const char*> RawDevice::foreign(const std::optional<FoundSuperblock>& found) const {
  RawSuperblockSector sector;
  DW_TRY(read_exact_at(fd_.get(), sector, 0));
  DW_ASSIGN(std::optional<RawSuperblock> first, decode_raw_superblock(sector));
  // Whoever put something else there since may have left the second copy alone.
  if (const char* what = foreign_content(fd_.get(), first.has_value())) return what;
  bool cut = found && found->superblock.device_bytes > bytes_;
  return cut ? "holds a dump, and was larger when that was written" : nullptr;
}

Status RawDevice::look(const RawOptions& options) {
  Result<std::optional<FoundSuperblock>> found = find_raw_superblock(fd_.get());
  Result<const char*> what = found.ok() ? foreign(*found) : found.error();
  if (!what.ok() && !(options.force && what.error().kind() == ErrorKind::kUnsupported))
    return what.error();
  holds_foreign_ = !what.ok() || *what != nullptr;
  if (holds_foreign_ && !options.force) return Error(ErrorKind::kUsage, *what).hint(kForeignHint);
  if (holds_foreign_ || !*found) return {};
  superblock_ = std::move((*found)->superblock);
  generation_ = superblock_->generation;
  next_copy_ = 1 - (*found)->copy;
  return {};
}

Status RawDevice::put_superblock(const RawSuperblock& superblock, bool both) {
  RawSuperblock next = superblock;
  next.device_bytes = bytes_;
  for (int copy = 0; copy < (both ? 2 : 1); ++copy) {
    next.generation = ++generation_;
    DW_TRY(write_copy(next));
    superblock_ = next;
  }
  return {};
}

Status RawDevice::write_copy(const RawSuperblock& superblock) {
  std::array<std::byte, kRawSuperblockStep> block{};
  std::ranges::copy(encode(superblock), block.begin());
  Status written = write_all_at(fd_.get(), block, next_copy_ * kRawSuperblockStep);
  if (!written.ok()) {
    failed_ = true;
    return written;
  }
  next_copy_ = 1 - next_copy_;
  return sync();
}

Status RawDevice::sync() {
  // After one failure the kernel may report success and yet have dropped the data.
  if (failed_) return Error::from_errno("cannot sync", EIO).on(path_);
  if (::fdatasync(fd_.get()) == 0) return {};
  failed_ = true;
  return Error::from_errno("cannot sync").on(path_);
}

// The device itself makes zeros of whole blocks if it can; else the kernel does, past the page
// cache.
Status RawDevice::zero(uint64_t begin, uint64_t end) {
  Status zeroed = make_zeros(begin, end);
  // Among what failed may be what was written before.
  if (!zeroed.ok()) failed_ = true;
  return zeroed;
}

Status RawDevice::make_zeros(uint64_t begin, uint64_t end) {
  uint64_t first = std::min(align_up(begin, kRawBlock), end);
  uint64_t last = std::max(align_down(end, kRawBlock), first);
  DW_TRY(zero_with_writes(fd_.get(), begin, first));
  for (uint64_t at = first; at < last;) {
    uint64_t next = std::min(last, at + kZeroPiece);
    int result = ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                             static_cast<off_t>(at), static_cast<off_t>(next - at));
    if (result != 0 && errno == EINTR) continue;
    if (result != 0) return zero_with_writes(fd_.get(), at, end);
    at = next;
  }
  return zero_with_writes(fd_.get(), last, end);
}

}  // namespace dw
