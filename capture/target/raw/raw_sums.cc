#include "capture/target/raw/raw_sums.h"

#include <algorithm>
#include <array>

#include "capture/base/checked.h"
#include "capture/base/fd.h"

namespace dw {

namespace {

// Where nobody asked for room before.
constexpr uint64_t kFirstRoom = 64 << 10;

}  // namespace

RawSums::RawSums(RawDevice& device)
    : device_(&device),
      begin_(device.superblock()->sums_offset),
      end_(begin_ + device.superblock()->sums_room),
      size_(device.superblock()->sums_certain ? device.superblock()->sums_bytes : room()) {}

void RawSums::tell(RawSuperblock& superblock, bool certain) const {
  superblock.sums_offset = begin_;
  superblock.sums_room = room();
  superblock.sums_bytes = size_;
  superblock.sums_certain = certain;
}

bool RawSums::differs_from(const RawSuperblock& superblock) const {
  return superblock.sums_offset != begin_ || superblock.sums_room != room() ||
         (superblock.sums_certain && (changed_ || superblock.sums_bytes != size_));
}

Status RawSums::preallocate(uint64_t length, uint64_t dump_end) {
  if (length <= room()) return {};
  // Twice as much as there was: so the list can be copied in front of itself.
  uint64_t wanted = std::max({length, 2 * room(), kFirstRoom});
  if (wanted > end_ || align_down(end_ - wanted, kRawBlock) < dump_end)
    return Error(ErrorKind::kNoSpace, "the partition has no room for the list of checksums");
  return move_to(align_down(end_ - wanted, kRawBlock));
}

// Until the superblock says otherwise, the list is where it was.
Status RawSums::move_to(uint64_t begin) {
  uint64_t old_begin = begin_;
  std::array<std::byte, 16 << 10> piece;
  for (uint64_t done = 0; done < size_; done += piece.size()) {
    MutableBytes part = std::span(piece).first(std::min<uint64_t>(piece.size(), size_ - done));
    DW_TRY(read_exact_at(device_->fd(), part, old_begin + done));
    DW_TRY(write_all_at(device_->fd(), part, begin + done));
  }
  DW_TRY(device_->zero(begin + size_, old_begin));
  DW_TRY(device_->sync());
  begin_ = begin;
  if (size_ > 0) {
    RawSuperblock superblock = *device_->superblock();
    tell(superblock, false);
    DW_TRY(device_->put_superblock(superblock));
  }
  return device_->zero(old_begin, end_);
}

Status RawSums::append(Bytes bytes, uint64_t dump_end) {
  DW_TRY(preallocate(size_ + bytes.size(), dump_end));
  DW_TRY(write_all_at(device_->fd(), bytes, begin_ + size_));
  size_ += bytes.size();
  changed_ = true;
  return {};
}

Status RawSums::read(uint64_t offset, MutableBytes into) const {
  return read_exact_at(FileView(device_->fd(), begin_, size_), into, offset);
}

Status RawSums::cut(uint64_t size) {
  if (size > size_) return preallocate(size, begin_);
  DW_TRY(device_->zero(begin_ + size, begin_ + size_));
  size_ = size;
  changed_ = true;
  return {};
}

}  // namespace dw
