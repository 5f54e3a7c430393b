#include "capture/plan/plan.h"

#include <xxhash.h>

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

uint32_t digest_of(const ChunkBits& bits) {
  return static_cast<uint32_t>(XXH3_64bits(bits.data(), sizeof(bits)));
}

size_t Plan::memory_bytes(const PhysicalMap& memory, bool with_digests) {
  size_t per_chunk = sizeof(uint16_t) + (with_digests ? sizeof(uint32_t) : 0);
  return count_windows(memory) * (sizeof(Window) + kWindowChunks * per_chunk);
}

// Each part is the seed of the next.
uint64_t Plan::digest() const {
  uint64_t digest = XXH3_64bits(windows_.data(), windows_.size() * sizeof(Window));
  digest = XXH3_64bits_withSeed(chunks_.data(), chunks_.size_bytes(), digest);
  return XXH3_64bits_withSeed(digests_.data(), digests_.size_bytes(), digest);
}

std::optional<PlannedChunk> Plan::Cursor::next() {
  constexpr unsigned kKeptMask = (1U << kKeptBits) - 1;
  for (; priority_ < kPriorityCount; ++priority_, window_ = 0) {
    for (; window_ < plan_->windows_.size(); ++window_, chunk_ = 0) {
      const Window& window = plan_->windows_[window_];
      if (chunk_ == 0) rank_ = window.rank_base;
      while (chunk_ < kWindowChunks) {
        size_t at = window_ * kWindowChunks + chunk_;
        uint16_t entry = plan_->chunks_[at];
        unsigned kept = entry & kKeptMask;
        unsigned priority = static_cast<unsigned>(entry) >> kKeptBits;
        PlannedChunk chunk{.first_pfn = window.index * kWindowPages + chunk_ * kChunkPages,
                           .rank = rank_,
                           .kept = kept,
                           .digest = plan_->digests_.empty() ? 0 : plan_->digests_[at]};
        rank_ += kept;
        ++chunk_;
        if (kept > 0 && priority == priority_) return chunk;
      }
    }
  }
  return std::nullopt;
}

Plan::AddressCursor::AddressCursor(const Plan& plan) : plan_(&plan) {
  uint64_t before = 0;
  for (unsigned i = 0; i < kPriorityCount; ++i) {
    next_slots_[i] = before;
    before += plan.kept_by_priority_[i];
  }
}

std::optional<PlacedChunk> Plan::AddressCursor::next() {
  constexpr unsigned kKeptMask = (1U << kKeptBits) - 1;
  while (chunk_ < plan_->chunks_.size()) {
    unsigned entry = plan_->chunks_[chunk_++];
    PlacedChunk placed{.slot = next_slots_[entry >> kKeptBits], .kept = entry & kKeptMask};
    next_slots_[entry >> kKeptBits] += placed.kept;
    if (placed.kept > 0) return placed;
  }
  return std::nullopt;
}

Result<PlanBuilder> PlanBuilder::create(const PhysicalMap& memory, bool with_digests) {
  std::vector<uint64_t> windows;
  windows.reserve(count_windows(memory));
  for_each_window(memory, [&](uint64_t window) { windows.push_back(window); });
  return create(windows, with_digests);
}

Result<PlanBuilder> PlanBuilder::create(std::span<const uint64_t> windows, bool with_digests) {
  PlanBuilder builder;
  Plan& plan = builder.plan_;
  plan.windows_.reserve(windows.size());
  for (uint64_t window : windows) plan.windows_.push_back({.index = window, .rank_base = 0});
  if (windows.empty()) return builder;
  size_t chunks = windows.size() * kWindowChunks;
  DW_ASSIGN(plan.chunk_memory_, Buffer::allocate(chunks * sizeof(uint16_t)));
  plan.chunks_ = {reinterpret_cast<uint16_t*>(plan.chunk_memory_.data()), chunks};
  if (!with_digests) return builder;
  DW_ASSIGN(plan.digest_memory_, Buffer::allocate(chunks * sizeof(uint32_t)));
  plan.digests_ = {reinterpret_cast<uint32_t*>(plan.digest_memory_.data()), chunks};
  return builder;
}

void PlanBuilder::prefer(uint64_t pfn, ChunkPriority priority) {
  DW_CHECK(priority > ChunkPriority::kEssential && priority < ChunkPriority::kKernel);
  auto window =
      std::ranges::lower_bound(plan_.windows_, pfn / kWindowPages, {}, &Plan::Window::index);
  if (window == plan_.windows_.end() || window->index != pfn / kWindowPages) return;
  auto at = static_cast<size_t>(window - plan_.windows_.begin()) * kWindowChunks;
  uint16_t& entry = plan_.chunks_[at + pfn % kWindowPages / kChunkPages];
  unsigned known = static_cast<unsigned>(entry) >> Plan::kKeptBits;
  unsigned wanted = static_cast<unsigned>(priority);
  if (known == 0 || wanted < known) entry = static_cast<uint16_t>(wanted << Plan::kKeptBits);
}

void PlanBuilder::set_window(size_t window, std::span<const uint64_t> kept,
                             std::span<const ChunkPriority> priorities) {
  DW_CHECK(kept.size() == kWindowWords && priorities.size() == kWindowChunks);
  for (size_t chunk = 0; chunk < kWindowChunks; ++chunk) {
    ChunkBits bits;
    std::ranges::copy(kept.subspan(chunk * bits.size(), bits.size()), bits.begin());
    unsigned priority = static_cast<unsigned>(priorities[chunk]);
    size_t at = window * kWindowChunks + chunk;
    unsigned preferred = static_cast<unsigned>(plan_.chunks_[at]) >> Plan::kKeptBits;
    if (priorities[chunk] == ChunkPriority::kKernel && preferred != 0) priority = preferred;
    unsigned count = count_bits(bits);
    // A chunk of which nothing is written makes no plan different.
    if (count == 0) priority = 0;
    plan_.chunks_[at] = static_cast<uint16_t>(count | priority << Plan::kKeptBits);
    if (!plan_.digests_.empty()) plan_.digests_[at] = digest_of(bits);
  }
}

Plan PlanBuilder::finish() && {
  constexpr unsigned kKeptMask = (1U << Plan::kKeptBits) - 1;
  for (size_t window = 0; window < plan_.windows_.size(); ++window) {
    plan_.windows_[window].rank_base = plan_.kept_pages_;
    for (size_t chunk = 0; chunk < kWindowChunks; ++chunk) {
      unsigned entry = plan_.chunks_[window * kWindowChunks + chunk];
      unsigned kept = entry & kKeptMask;
      plan_.kept_pages_ += kept;
      plan_.kept_by_priority_[entry >> Plan::kKeptBits] += kept;
      if (kept > 0) ++plan_.chunk_count_;
    }
  }
  return std::move(plan_);
}

}  // namespace dw
