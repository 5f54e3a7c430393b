#include "capture/target/memory_target.h"

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

Status MemoryTarget::preallocate(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  content_.resize(std::max<size_t>(content_.size(), offset + length));
  return {};
}

Status MemoryTarget::write_at(uint64_t offset, Bytes bytes) {
  std::lock_guard lock(mutex_);
  content_.resize(std::max<size_t>(content_.size(), offset + bytes.size()));
  std::ranges::copy(bytes, content_.begin() + static_cast<ptrdiff_t>(offset));
  return {};
}

Status MemoryTarget::read_at(uint64_t offset, MutableBytes into) {
  std::lock_guard lock(mutex_);
  if (!range_fits(offset, into.size(), content_.size()))
    return Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset);
  std::ranges::copy(std::span(content_).subspan(offset, into.size()), into.begin());
  return {};
}

Result<uint64_t> MemoryTarget::size() {
  std::lock_guard lock(mutex_);
  return content_.size();
}

Status MemoryTarget::truncate(uint64_t length) {
  std::lock_guard lock(mutex_);
  content_.resize(length);
  return {};
}

Status MemoryTarget::append_sums(Bytes bytes) {
  sums_.insert(sums_.end(), bytes.begin(), bytes.end());
  return {};
}

Status MemoryTarget::read_sums(uint64_t offset, MutableBytes into) {
  if (!range_fits(offset, into.size(), sums_.size()))
    return Error(ErrorKind::kBadInput, "the sums end too early").at(Where::kOffset, offset);
  std::ranges::copy(std::span(sums_).subspan(offset, into.size()), into.begin());
  return {};
}

Status MemoryTarget::cut_sums(uint64_t size) {
  sums_.resize(size);
  return {};
}

Status MemoryTarget::put_file(const char* name, Bytes content) {
  files_[name].assign(content.begin(), content.end());
  return {};
}

Status MemoryTarget::sync() {
  synced_ = content_;
  synced_sums_ = sums_;
  return {};
}

Status MemoryTarget::publish() {
  DW_CHECK(state_ == State::kStaged);
  state_ = synced_state_ = State::kPublished;
  return {};
}

Status MemoryTarget::seal() {
  DW_CHECK(state_ == State::kPublished);
  state_ = synced_state_ = State::kSealed;
  return {};
}

Status FaultTarget::count_call(const char* what) {
  if (calls_++ >= fail_at_) return Error::from_errno(what, errno_value_);
  return {};
}

Status FaultTarget::preallocate(uint64_t offset, uint64_t length) {
  DW_TRY(count_call("cannot preallocate"));
  return inner_->preallocate(offset, length);
}

Status FaultTarget::write_at(uint64_t offset, Bytes bytes) {
  DW_TRY(count_call("cannot write"));
  return inner_->write_at(offset, bytes);
}

Status FaultTarget::read_at(uint64_t offset, MutableBytes into) {
  return inner_->read_at(offset, into);
}

Status FaultTarget::truncate(uint64_t length) {
  DW_TRY(count_call("cannot truncate"));
  return inner_->truncate(length);
}

Status FaultTarget::append_sums(Bytes bytes) {
  DW_TRY(count_call("cannot write the sums"));
  return inner_->append_sums(bytes);
}

Status FaultTarget::read_sums(uint64_t offset, MutableBytes into) {
  return inner_->read_sums(offset, into);
}

Status FaultTarget::preallocate_sums(uint64_t length) {
  DW_TRY(count_call("cannot preallocate the sums"));
  return inner_->preallocate_sums(length);
}

Status FaultTarget::cut_sums(uint64_t size) {
  DW_TRY(count_call("cannot cut the sums"));
  return inner_->cut_sums(size);
}

Status FaultTarget::reserve_file(const char* name, size_t bytes) {
  DW_TRY(count_call("cannot reserve space"));
  return inner_->reserve_file(name, bytes);
}

Status FaultTarget::put_file(const char* name, Bytes content) {
  DW_TRY(count_call("cannot write"));
  return inner_->put_file(name, content);
}

Status FaultTarget::sync() {
  DW_TRY(count_call("cannot sync"));
  return inner_->sync();
}

Status FaultTarget::publish() {
  DW_TRY(count_call("cannot publish"));
  return inner_->publish();
}

Status FaultTarget::seal() {
  DW_TRY(count_call("cannot seal"));
  return inner_->seal();
}

}  // namespace dw
