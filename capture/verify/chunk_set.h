// A set of chunks of memory: one bit for each, 128 KiB per TiB.
// Thread safety: any thread may add and ask.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "capture/base/buffer.h"
#include "capture/base/checked.h"
#include "capture/base/result.h"
#include "capture/plan/plan.h"

namespace dw {

class ChunkSet {
 public:
  // For page frames below `max_pfn`. Error kNoMemory.
  static Result<ChunkSet> create(uint64_t max_pfn) {
    ChunkSet set;
    set.chunks_ = divide_up(max_pfn, kChunkPages);
    DW_ASSIGN(set.bits_, Buffer::allocate((set.chunks_ / 64 + 1) * sizeof(uint64_t)));
    return set;
  }

  [[nodiscard]] bool has_room_for(uint64_t chunk) const { return chunk < chunks_; }
  // Chunks are named by first page frame / kChunkPages. False if it was there already.
  bool add(uint64_t chunk) {
    uint64_t bit = uint64_t{1} << (chunk % 64);
    return (word(chunk).fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  }
  [[nodiscard]] bool contains(uint64_t chunk) {
    return (word(chunk).load(std::memory_order_relaxed) >> (chunk % 64) & 1) != 0;
  }

 private:
  std::atomic_ref<uint64_t> word(uint64_t chunk) {
    DW_CHECK(has_room_for(chunk));
    return std::atomic_ref<uint64_t>(reinterpret_cast<uint64_t*>(bits_.data())[chunk / 64]);
  }

  Buffer bits_;
  uint64_t chunks_ = 0;
};

}  // namespace dw
