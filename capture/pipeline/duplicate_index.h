// Where the pages of earlier batches stand in the file, so that a page with the same bytes need not
// be stored again.
//
// A batch sees exactly those that are kDistance to kReach batches back: far enough for all of them
// to be written whatever the number of threads, and no farther than the table is sure to remember.
// So what it finds depends on the plan and the pages alone, and a dump that is continued can fill
// the table again. Pages are told apart by 128 bits of XXH3 with a seed that nobody could know
// before the crash.
//
// Thread safety: find() from any thread while one thread calls add(), as long as the batches that
// are worked on are at most kDistance ahead of the last one added. An entry that a batch in work
// can see is never written: it was complete kDistance batches ago, and is replaced only once it is
// too far back for all of them. Others are told by their sequence, which is atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"

namespace dw {

struct PageHash {
  uint64_t low = 0;
  uint64_t high = 0;

  friend bool operator==(const PageHash&, const PageHash&) = default;
};

[[nodiscard]] PageHash hash_of(Bytes page, uint64_t seed);
// A seed from what only the crash could tell: the ELF notes with every CPU's registers.
[[nodiscard]] uint64_t hash_seed_of(Bytes notes);

class DuplicateIndex {
 public:
  static constexpr uint64_t kDistance = 32;
  static constexpr uint64_t kReach = 256;

  struct Place {
    uint64_t where;  // offset in the file
    uint32_t size;   // as stored
  };

  // Error kNoMemory.
  static Result<DuplicateIndex> create();
  [[nodiscard]] static size_t memory_bytes() { return kEntries * sizeof(Entry); }

  // Batch `sequence` and those behind it see nothing of the batches before this one.
  [[nodiscard]] static uint64_t first_visible(uint64_t sequence) {
    return sequence < kReach ? 0 : sequence - kReach;
  }

  // For a page of batch `sequence`.
  [[nodiscard]] std::optional<Place> find(uint64_t sequence, const PageHash& hash) const;
  // A page that batch `sequence` stored. Ascending. Forgotten at once if its bucket is full.
  void add(uint64_t sequence, const PageHash& hash, const Place& place);

 private:
  // As many as the batches in reach can have pages.
  static constexpr size_t kEntries = kReach * 256;
  static constexpr size_t kWays = 4;

  struct Entry {
    std::atomic<uint32_t> turn;  // sequence + 1; 0: free
    uint32_t size;
    uint64_t where;
    PageHash hash;
  };
  static_assert(sizeof(Entry) == 32);

  [[nodiscard]] static uint32_t turn_of(uint64_t sequence);
  [[nodiscard]] std::span<Entry> bucket(const PageHash& hash) const;

  Buffer memory_;
  Entry* entries_ = nullptr;  // in memory_
};

}  // namespace dw
