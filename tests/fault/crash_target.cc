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

// Any mixture of the sectors of a file that was synced as `durable` and is `written` now. Its
// length, too, may be anything between the two.
CrashTarget::Image some_of(const CrashTarget::Image& durable, const CrashTarget::Image& written,
                           uint64_t seed) {
  uint64_t random = seed * 0x9e3779b97f4a7c15 + 1;
  auto [shortest, longest] = std::minmax({durable.size(), written.size()});
  size_t size = shortest;
  if (longest > shortest) size += next_random(random) % (longest - shortest + 1);
  CrashTarget::Image image = durable;
  image.resize(size);
  for (size_t at = 0; at < size; at += kSector) {
    size_t end = std::min({at + kSector, size, written.size()});
    if (next_random(random) % 2 == 0 && at < end)
      std::copy(written.begin() + static_cast<ptrdiff_t>(at),
                written.begin() + static_cast<ptrdiff_t>(end),
                image.begin() + static_cast<ptrdiff_t>(at));
  }
  return image;
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

Result<uint64_t> CrashTarget::size() {
  std::lock_guard lock(mutex_);
  return content_.size();
}

Status CrashTarget::truncate(uint64_t length) {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot truncate"));
  content_.resize(length);
  on_change();
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

Result<uint64_t> CrashTarget::sums_size() {
  std::lock_guard lock(mutex_);
  return sums_.size();
}

Status CrashTarget::preallocate_sums(uint64_t) {
  std::lock_guard lock(mutex_);
  return fail_if_due("cannot reserve space");
}

Status CrashTarget::cut_sums(uint64_t size) {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot truncate the sums"));
  sums_.resize(size);
  on_change();
  return {};
}

Status CrashTarget::put_file(const char* name, Bytes content) {
  std::lock_guard lock(mutex_);
  DW_TRY(fail_if_due("cannot write"));
  files_[name].assign(content.begin(), content.end());
  return {};
}

Status CrashTarget::reserve_file(const char*, size_t) {
  std::lock_guard lock(mutex_);
  return fail_if_due("cannot reserve space");
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
  return some_of(durable_, content_, seed);
}

CrashTarget::Image CrashTarget::partly_durable_sums(uint64_t seed) const {
  return some_of(durable_sums_, sums_, seed);
}

}  // namespace dw::test
