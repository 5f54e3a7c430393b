#include "capture/target/raw/raw_target.h"

#include <algorithm>
#include <utility>

#include "capture/base/checked.h"
#include "capture/target/dump_names.h"

namespace dw {

RawTarget::RawTarget(RawDevice& device)
    : device_(&device),
      begin_(device.superblock()->dump_offset),
      sums_(device),
      files_(device),
      direct_(DirectAppender::create_on_device(device.fd())),
      end_(device.superblock()->dump_bytes),
      durable_end_(end_) {}

RawTarget::~RawTarget() {
  if (device_->failed() || device_->superblock()->state != RawState::kIncomplete) return;
  if (sync().ok()) (void)put_state(RawState::kIncomplete, true);
}

std::string RawTarget::path() const {
  const RawSuperblock& superblock = *device_->superblock();
  std::string name = device_->path() + ":" + superblock.name + "/";
  if (superblock.state == RawState::kStaged) return name + kStagedName;
  name += superblock.file;
  return superblock.state == RawState::kSealed ? name : name + std::string(kIncompleteSuffix);
}

Error RawTarget::failed_for_good(const Error& error) {
  device_->set_failed();
  return failed(error);
}

Status RawTarget::done(const Status& status) const {
  return status.ok() ? status : failed(status.error());
}

Status RawTarget::check_room(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  uint64_t room = sums_.begin() - begin_;
  if (range_fits(offset, length, room)) return {};
  return failed(Error(ErrorKind::kNoSpace, "the partition is full"));
}

// [offset, offset + length) becomes part of the dump; what lies in front of it and was not reads as
// zeros.
Status RawTarget::take_room(uint64_t offset, uint64_t length) {
  DW_TRY(check_room(offset, length));
  std::lock_guard lock(mutex_);
  if (offset > end_) DW_TRY(lengthen(offset));
  end_ = std::max(end_, offset + length);
  return {};
}

// With mutex_.
Status RawTarget::lengthen(uint64_t end) {
  Status zeroed = device_->zero(place(end_), place(end));
  if (!zeroed.ok()) return failed(zeroed.error());
  end_ = end;
  return {};
}

Status RawTarget::preallocate(uint64_t offset, uint64_t length) {
  uint64_t end = checked_add(offset, length).value_or(UINT64_MAX);
  // Refused before gigabytes of zeros are written.
  DW_TRY(check_room(end, 0));
  DW_ASSIGN(uint64_t at, size());
  for (; at < end; moved()) {
    at += std::min(end - at, kRoomPieceBytes);
    DW_TRY(take_room(at, 0));
  }
  return {};
}

Status RawTarget::write_at(uint64_t offset, Bytes bytes) {
  DW_TRY(take_room(offset, bytes.size()));
  Status written = write_all_at(device_->fd(), bytes, place(offset));
  // What is now part of the dump may still be what stood there before.
  if (!written.ok()) return failed_for_good(written.error());
  if (direct_) direct_->overwrite(place(offset), bytes);
  Status paced = writeback_.wrote(device_->fd(), place(offset), bytes.size(), direct_.has_value());
  return paced.ok() ? paced : failed_for_good(paced.error());
}

Status RawTarget::append(uint64_t offset, Bytes bytes) {
  if (!direct_) return write_at(offset, bytes);
  DW_TRY(take_room(offset, bytes.size()));
  Status appended = direct_->append(place(offset), bytes);
  return appended.ok() ? appended : failed_for_good(appended.error());
}

Status RawTarget::read_at(uint64_t offset, MutableBytes into) {
  DW_ASSIGN(uint64_t end, size());
  return done(read_exact_at(FileView(device_->fd(), begin_, end), into, offset));
}

Result<uint64_t> RawTarget::size() {
  std::lock_guard lock(mutex_);
  return end_;
}

Status RawTarget::truncate(uint64_t length) {
  if (direct_) {
    Status flushed = direct_->forget_from(place(length));
    if (!flushed.ok()) return failed_for_good(flushed.error());
  }
  DW_TRY(take_room(length, 0));
  std::lock_guard lock(mutex_);
  end_ = length;
  return {};
}

Status RawTarget::append_sums(Bytes bytes) {
  DW_ASSIGN(uint64_t end, size());
  return done(sums_.append(bytes, place(end)));
}

Status RawTarget::read_sums(uint64_t offset, MutableBytes into) {
  return done(sums_.read(offset, into));
}

Status RawTarget::preallocate_sums(uint64_t length) {
  DW_ASSIGN(uint64_t end, size());
  return done(sums_.preallocate(length, place(end)));
}

Status RawTarget::cut_sums(uint64_t size) { return done(sums_.cut(size)); }

Status RawTarget::put_file(const char* name, Bytes content) {
  return done(files_.put(name, BytesContent(content)));
}

Status RawTarget::reserve_file(const char* name, size_t bytes) {
  return done(files_.reserve(name, bytes));
}

std::optional<uint64_t> RawTarget::free_bytes() {
  std::lock_guard lock(mutex_);
  return sums_.begin() - place(end_);
}

Status RawTarget::put_state(RawState state, bool certain) {
  RawSuperblock superblock = *device_->superblock();
  superblock.state = state;
  superblock.dump_bytes = durable_end_;
  sums_.tell(superblock, certain);
  return done(device_->put_superblock(superblock));
}

Status RawTarget::sync() {
  DW_ASSIGN(uint64_t end, size());
  Status flushed = direct_ && !device_->failed() ? direct_->flush() : Status();
  if (!flushed.ok()) return failed_for_good(flushed.error());
  DW_TRY(done(device_->sync()));
  durable_end_ = end;
  const RawSuperblock& told = *device_->superblock();
  bool differs = told.dump_bytes != end || sums_.differs_from(told);
  if (told.state != RawState::kIncomplete || !differs) return {};
  return put_state(RawState::kIncomplete, false);
}

Status RawTarget::publish() { return put_state(RawState::kIncomplete, false); }

Status RawTarget::seal() { return put_state(RawState::kSealed, true); }

}  // namespace dw
