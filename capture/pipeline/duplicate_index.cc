#include "capture/pipeline/duplicate_index.h"

#include <xxhash.h>

#include <algorithm>

namespace dw {

PageHash hash_of(Bytes page, uint64_t seed) {
  XXH128_hash_t hash = XXH3_128bits_withSeed(page.data(), page.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

uint64_t hash_seed_of(Bytes notes) { return XXH3_64bits(notes.data(), notes.size()); }

Result<DuplicateIndex> DuplicateIndex::create() {
  DuplicateIndex index;
  DW_ASSIGN(index.memory_, Buffer::allocate(memory_bytes()));
  // The buffer's zeros are heads without a page.
  index.entries_ = reinterpret_cast<Entry*>(index.memory_.data());
  index.heads_ = reinterpret_cast<Head*>(index.memory_.data() + kEntries * sizeof(Entry));
  return index;
}

std::optional<DuplicateIndex::Place> DuplicateIndex::find(uint64_t sequence,
                                                          const PageHash& hash) const {
  if (sequence < kDistance) return std::nullopt;
  uint64_t begin_visible = begin(first_visible(sequence));
  uint64_t end_visible = begin(sequence - kDistance + 1);
  unsigned seen = 0;
  // Numbers descend, so those that are too new come first. They are not counted: how many there are
  // depends on how far the committer is.
  for (uint64_t number = head(hash).load(std::memory_order_acquire);
       number > begin_visible && seen < kMaxSeen; number -= entry(number).back) {
    if (number > end_visible) continue;
    const Entry& candidate = entry(number);
    if (candidate.hash == hash) return Place{.where = candidate.where, .size = candidate.size};
    ++seen;
  }
  return std::nullopt;
}

void DuplicateIndex::begin_batch(uint64_t sequence) {
  DW_CHECK(sequence >= batch_);
  uint64_t gap = std::min(sequence - batch_, kBegins);
  batch_ = sequence;
  for (uint64_t i = 0; i < gap; ++i) begin(sequence - i) = added_;
}

void DuplicateIndex::add(uint64_t sequence, const PageHash& hash, const Place& place) {
  begin_batch(sequence);
  DW_CHECK(added_ - begin(sequence) < kBatchEntries);
  Head& newest = head(hash);
  uint64_t number = ++added_;
  uint64_t back = number - newest.load(std::memory_order_relaxed);
  // What is farther back than the ring is long may as well be nowhere.
  entry(number) = {.hash = hash,
                   .where = place.where,
                   .size = place.size,
                   .back = static_cast<uint32_t>(std::min<uint64_t>(back, UINT32_MAX))};
  newest.store(number, std::memory_order_release);
}

void DuplicateIndex::end_batch(uint64_t sequence) { begin_batch(sequence + 1); }

}  // namespace dw
