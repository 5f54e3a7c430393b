#include "capture/pipeline/duplicate_index.h"

#include <xxhash.h>

namespace dw {

PageHash hash_of(Bytes page, uint64_t seed) {
  XXH128_hash_t hash = XXH3_128bits_withSeed(page.data(), page.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

uint64_t hash_seed_of(Bytes notes) { return XXH3_64bits(notes.data(), notes.size()); }

Result<DuplicateIndex> DuplicateIndex::create() {
  DuplicateIndex index;
  DW_ASSIGN(index.memory_, Buffer::allocate(memory_bytes()));
  // The buffer's zeros are free entries.
  index.entries_ = reinterpret_cast<Entry*>(index.memory_.data());
  return index;
}

// More batches than 2^32 are 4 PiB of pages.
uint32_t DuplicateIndex::turn_of(uint64_t sequence) {
  DW_CHECK(sequence < UINT32_MAX);
  return static_cast<uint32_t>(sequence) + 1;
}

std::span<DuplicateIndex::Entry> DuplicateIndex::bucket(const PageHash& hash) const {
  return {entries_ + hash.low % (kEntries / kWays) * kWays, kWays};
}

std::optional<DuplicateIndex::Place> DuplicateIndex::find(uint64_t sequence,
                                                          const PageHash& hash) const {
  uint32_t now = turn_of(sequence);
  for (const Entry& entry : bucket(hash)) {
    uint32_t turn = entry.turn.load(std::memory_order_relaxed);
    bool visible = turn != 0 && turn + kDistance <= now && now <= turn + kReach;
    if (visible && entry.hash == hash) return Place{.where = entry.where, .size = entry.size};
  }
  return std::nullopt;
}

void DuplicateIndex::add(uint64_t sequence, const PageHash& hash, const Place& place) {
  uint32_t now = turn_of(sequence);
  for (Entry& entry : bucket(hash)) {
    uint32_t turn = entry.turn.load(std::memory_order_relaxed);
    // Batches from `sequence` + 1 on are being worked on.
    if (turn != 0 && now + uint64_t{1} <= turn + kReach) continue;
    entry.turn.store(0, std::memory_order_relaxed);
    entry.size = place.size;
    entry.where = place.where;
    entry.hash = hash;
    entry.turn.store(now, std::memory_order_relaxed);
    return;
  }
}

}  // namespace dw
