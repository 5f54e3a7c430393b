#include "capture/target/server/read_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "capture/base/checked.h"

namespace dw {

size_t ReadCache::Piece::copy_to(uint64_t offset, MutableBytes into) const {
  if (!has(offset)) return 0;
  size_t at = offset - begin;
  size_t n = std::min(into.size(), used - at);
  std::memcpy(into.data(), room.data() + at, n);
  return n;
}

void ReadCache::Piece::overwrite(uint64_t offset, Bytes bytes) {
  uint64_t from = std::max(offset, begin);
  uint64_t to = std::min(offset + bytes.size(), begin + used);
  if (from >= to) return;
  std::memcpy(room.data() + (from - begin), bytes.data() + (from - offset), to - from);
}

Status ReadCache::Piece::fetch(uint64_t offset, size_t length, const Fetch& fetch) {
  used = 0;  // until it is read
  DW_TRY(fetch(offset, room.first(length)));
  begin = offset;
  used = length;
  return {};
}

Result<ReadCache> ReadCache::create(size_t ahead) {
  DW_ASSIGN(Buffer memory, Buffer::allocate(memory_bytes(ahead)));
  ReadCache cache(std::move(memory));
  MutableBytes room = cache.memory_.bytes();
  for (Piece& block : cache.blocks_) {
    block.room = room.first(kBlockBytes);
    room = room.subspan(kBlockBytes);
  }
  cache.window_.room = room.first(ahead);
  return cache;
}

Status ReadCache::read(uint64_t offset, MutableBytes into, uint64_t size, const Fetch& fetch) {
  DW_CHECK(range_fits(offset, into.size(), size));
  return into.size() < kSmallBytes ? read_small(offset, into, size, fetch)
                                   : read_large(offset, into, size, fetch);
}

Status ReadCache::read_small(uint64_t offset, MutableBytes into, uint64_t size,
                             const Fetch& fetch) {
  while (!into.empty()) {
    DW_ASSIGN(const Piece* block, block_with(offset, size, fetch));
    size_t n = block->copy_to(offset, into);
    offset += n;
    into = into.subspan(n);
  }
  return {};
}

Result<const ReadCache::Piece*> ReadCache::block_with(uint64_t offset, uint64_t size,
                                                      const Fetch& fetch) {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (!blocks_[i].has(offset)) continue;
    oldest_ = 1 - i;
    return &blocks_[i];
  }
  Piece& block = blocks_[oldest_];
  uint64_t begin = align_down(offset, kBlockBytes);
  DW_TRY(block.fetch(begin, std::min<uint64_t>(kBlockBytes, size - begin), fetch));
  oldest_ = 1 - oldest_;
  return &block;
}

Status ReadCache::read_large(uint64_t offset, MutableBytes into, uint64_t size,
                             const Fetch& fetch) {
  uint64_t begin = offset;
  while (!into.empty()) {
    DW_ASSIGN(size_t n, read_on(offset, into, size, fetch));
    offset += n;
    into = into.subspan(n);
    last_begin_ = begin;
    last_end_ = offset;
  }
  return {};
}

Result<size_t> ReadCache::read_on(uint64_t offset, MutableBytes into, uint64_t size,
                                  const Fetch& fetch) {
  if (size_t n = window_.copy_to(offset, into)) return n;
  bool follows = last_end_ > 0 && offset >= last_begin_ && offset <= last_end_;
  if (!follows) next_ahead_ = kFirstAhead;
  if (!follows || into.size() >= window_.room.size()) {
    DW_TRY(fetch(offset, into));
    return into.size();
  }
  size_t ahead = std::min(std::max(next_ahead_, into.size()), window_.room.size());
  next_ahead_ = 2 * ahead;
  DW_TRY(window_.fetch(offset, std::min<uint64_t>(ahead, size - offset), fetch));
  return window_.copy_to(offset, into);
}

void ReadCache::overwrite(uint64_t offset, Bytes bytes) {
  for (Piece& block : blocks_) block.overwrite(offset, bytes);
  window_.overwrite(offset, bytes);
}

MutableBytes ReadCache::give_window() {
  window_.used = 0;
  return std::exchange(window_.room, {});
}

void ReadCache::forget() {
  for (Piece& block : blocks_) block.used = 0;
  window_.used = 0;
}

}  // namespace dw
