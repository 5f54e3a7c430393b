#include "tests/fault/crash_target.h"

#include <algorithm>

#include "capture/base/checked.h"

namespace dw::test {

namespace {

constexpr size_t kSector = 512;

uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace

Status CrashTarget::fail_if_due(const char* what) {
  if (calls_++ != fail_at_ && !dead_) return {};
  return Error::from_errno(what, errno_value_);
}

void CrashTarget::put(uint64_t offset, Bytes bytes) {
  content_.resize(std::max<size_t>(content_.size(), offset + bytes.size()));
  std::ranges::copy(bytes, content_.begin() + static_cast<ptrdiff_t>(offset));
}

Status CrashTarget::preallocate(uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot reserve space"));
  content_.resize(std::max<size_t>(content_.size(), offset + length));
  on_change();
  return {};
}

Status CrashTarget::write_at(uint64_t offset, Bytes bytes) {
  std::lock_guard lock(mutex_);
  Status failed = fail_if_due("cannot write");
  put(offset, failed.ok() ? bytes : bytes.first(bytes.size() / 2));
  on_change();
  return failed;
}

Status CrashTarget::read_at(uint64_t offset, MutableBytes into) {
  std::lock_guard lock(mutex_);
  if (!range_fits(offset, into.size(), content_.size()))
    return Error(ErrorKind::kBadInput, "the file ends too early").at(Where::kOffset, offset);
  std::ranges::copy(std::span(content_).subspan(offset, into.size()), into.begin());
  return {};
}

Status CrashTarget::append_sums(Bytes bytes) {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot write the sums"));
  sums_.insert(sums_.end(), bytes.begin(), bytes.end());
  on_change();
  return {};
}

Status CrashTarget::read_sums(uint64_t offset, MutableBytes into) {
  std::lock_guard lock(mutex_);
  if (!range_fits(offset, into.size(), sums_.size()))
    return Error(ErrorKind::kBadInput, "the sums end too early").at(Where::kOffset, offset);
  std::ranges::copy(std::span(sums_).subspan(offset, into.size()), into.begin());
  return {};
}

Status CrashTarget::put_file(const char*, Bytes) {
  std::lock_guard lock(mutex_);
  return fail_if_due("cannot write");
}

Status CrashTarget::sync() {
  std::lock_guard lock(mutex_);
  Status failed = fail_if_due("cannot sync");
  if (!failed.ok()) {
    dead_ = true;
    return failed;
  }
  durable_ = content_;
  durable_sums_ = sums_;
  on_change();
  return {};
}

Status CrashTarget::publish() {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot rename"));
  DW_CHECK(state_ == State::kStaged);
  state_ = State::kPublished;
  on_change();
  return {};
}

Status CrashTarget::seal() {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot rename"));
  DW_CHECK(state_ == State::kPublished);
  state_ = State::kSealed;
  on_change();
  return {};
}

CrashTarget::Image CrashTarget::partly_durable(uint64_t seed) const {
  uint64_t random = seed * 0x9e3779b97f4a7c15 + 1;
  // The file's length, too, may be anything between the two.
  Image image = durable_;
  size_t grown = content_.size() - durable_.size();
  if (grown > 0) image.resize(durable_.size() + next_random(random) % (grown + 1));
  for (size_t at = 0; at < image.size(); at += kSector) {
    size_t end = std::min(at + kSector, image.size());
    if (next_random(random) % 2 == 0)
      std::copy(content_.begin() + static_cast<ptrdiff_t>(at),
                content_.begin() + static_cast<ptrdiff_t>(end),
                image.begin() + static_cast<ptrdiff_t>(at));
  }
  return image;
}

}  // namespace dw::test
