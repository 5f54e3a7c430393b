#include "capture/plan/plan.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace dw {

namespace {

// Calls visit(window index) for each window with memory, ascending, once.
template <typename Visit>
void for_each_window(const PhysicalMap& memory, Visit visit) {
  uint64_t next = 0;
  for (const PfnRange& range : memory.pfn_ranges()) {
    uint64_t last = (range.end - 1) / kWindowPages;
    for (uint64_t window = std::max(next, range.begin / kWindowPages); window <= last; ++window)
      visit(window);
    next = last + 1;
  }
}

size_t count_windows(const PhysicalMap& memory) {
  size_t count = 0;
  for_each_window(memory, [&](uint64_t) { ++count; });
  return count;
}

}  // namespace

unsigned count_bits(const ChunkBits& bits) {
  int count = 0;
  for (uint64_t word : bits) count += std::popcount(word);
  return static_cast<unsigned>(count);
}

size_t Plan::memory_bytes(const PhysicalMap& memory) {
  return count_windows(memory) * (sizeof(Window) + kWindowChunks * sizeof(uint16_t));
}

std::optional<PlannedChunk> Plan::Cursor::next() {
  constexpr unsigned kKeptMask = (1U << kKeptBits) - 1;
  for (; priority_ < kPriorityCount; ++priority_, window_ = 0) {
    for (; window_ < plan_->windows_.size(); ++window_, chunk_ = 0) {
      const Window& window = plan_->windows_[window_];
      if (chunk_ == 0) rank_ = window.rank_base;
      while (chunk_ < kWindowChunks) {
        uint16_t entry = plan_->chunks_[window_ * kWindowChunks + chunk_];
        unsigned kept = entry & kKeptMask;
        unsigned priority = static_cast<unsigned>(entry) >> kKeptBits;
        PlannedChunk chunk{.first_pfn = window.index * kWindowPages + chunk_ * kChunkPages,
                           .rank = rank_,
                           .kept = kept};
        rank_ += kept;
        ++chunk_;
        if (kept > 0 && priority == priority_) return chunk;
      }
    }
  }
  return std::nullopt;
}

Result<PlanBuilder> PlanBuilder::create(const PhysicalMap& memory) {
  PlanBuilder builder;
  size_t count = count_windows(memory);
  builder.plan_.windows_.reserve(count);
  for_each_window(memory, [&](uint64_t window) {
    builder.plan_.windows_.push_back({.index = window, .rank_base = 0});
  });
  if (count == 0) return builder;
  size_t chunks = count * kWindowChunks;
  DW_ASSIGN(builder.plan_.chunk_memory_, Buffer::allocate(chunks * sizeof(uint16_t)));
  builder.plan_.chunks_ = {reinterpret_cast<uint16_t*>(builder.plan_.chunk_memory_.data()), chunks};
  return builder;
}

void PlanBuilder::set_window(size_t window, std::span<const uint64_t> kept,
                             std::span<const ChunkPriority> priorities) {
  DW_CHECK(kept.size() == kWindowWords && priorities.size() == kWindowChunks);
  for (size_t chunk = 0; chunk < kWindowChunks; ++chunk) {
    ChunkBits bits;
    std::ranges::copy(kept.subspan(chunk * bits.size(), bits.size()), bits.begin());
    unsigned priority = static_cast<unsigned>(priorities[chunk]);
    plan_.chunks_[window * kWindowChunks + chunk] =
        static_cast<uint16_t>(count_bits(bits) | priority << Plan::kKeptBits);
  }
}

Plan PlanBuilder::finish() && {
  constexpr unsigned kKeptMask = (1U << Plan::kKeptBits) - 1;
  for (size_t window = 0; window < plan_.windows_.size(); ++window) {
    plan_.windows_[window].rank_base = plan_.kept_pages_;
    for (size_t chunk = 0; chunk < kWindowChunks; ++chunk) {
      unsigned kept = plan_.chunks_[window * kWindowChunks + chunk] & kKeptMask;
      plan_.kept_pages_ += kept;
      if (kept > 0) ++plan_.chunk_count_;
    }
  }
  return std::move(plan_);
}

}  // namespace dw
