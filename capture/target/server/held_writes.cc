#include "capture/target/server/held_writes.h"

#include <algorithm>

namespace dw {

bool HeldWrites::extend(File file, uint64_t offset, Bytes bytes) {
  if (used_ == 0 || bytes.size() > memory_.size() - used_) return false;
  Head head = load<Head>(memory_, last_);
  bool follows = head.file == file && head.offset + head.length == offset &&
                 head.length + bytes.size() <= kMostTogether;
  if (!follows) return false;
  head.length += static_cast<uint32_t>(bytes.size());
  store(memory_, last_, head);
  std::ranges::copy(bytes, memory_.begin() + static_cast<ptrdiff_t>(used_));
  used_ += bytes.size();
  return true;
}

bool HeldWrites::add(File file, uint64_t offset, Bytes bytes) {
  if (!extend(file, offset, bytes)) {
    if (memory_.size() - used_ < sizeof(Head) ||
        memory_.size() - used_ - sizeof(Head) < bytes.size())
      return false;
    last_ = used_;
    store(memory_, last_,
          Head{.offset = offset, .length = static_cast<uint32_t>(bytes.size()), .file = file});
    std::ranges::copy(bytes, memory_.begin() + static_cast<ptrdiff_t>(used_ + sizeof(Head)));
    used_ += sizeof(Head) + bytes.size();
  }
  note(file, offset, bytes.size());
  return true;
}

void HeldWrites::note(File file, uint64_t offset, uint64_t length) {
  if (file != File::kDump) return;
  begin_ = std::min(begin_, offset);
  end_ = std::max(end_, offset + length);
}

bool HeldWrites::may_overlap(uint64_t offset, uint64_t length) const {
  return offset < end_ && begin_ < offset + length;
}

Status HeldWrites::release(const Write& write) {
  Status first;
  for (size_t at = 0; at < used_ && first.ok();) {
    Head head = load<Head>(memory_, at);
    at += sizeof(Head);
    first = write(head.file, head.offset, memory_.subspan(at, head.length));
    at += head.length;
  }
  used_ = 0;
  begin_ = UINT64_MAX;
  end_ = 0;
  return first;
}

}  // namespace dw
