// Where the pages of earlier batches stand in the file, so that a page with the same bytes need not
// be stored again.
//
// A batch sees exactly the pages that were stored kDistance to kReach batches back: far enough for
// all of them to be written whatever the number of threads, and no farther than the table is sure
// to remember. So what it finds depends on the pages of those batches alone, and a dump that is
// continued fills the table again from the last kReach batches in the file. Pages are told apart by
// 128 bits of XXH3 with a seed that nobody could know before the crash.
//
// A ring of entries in the order in which they were added, chained by hash, the newest first. Pages
// are counted from 1 on; the page with number n stands in entry (n - 1) % kEntries.
//
// Thread safety: find() from any thread while one thread adds, as long as the batches that are
// worked on are later than the one being added, by less than kDistance, and a worker learns of its
// batch after the one kDistance back was ended. An entry that such a batch may read is complete
// before its number can be seen, and is replaced only once it is too far back for all of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

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
  static constexpr uint64_t kReach = 255;
  // That one batch may add.
  static constexpr uint64_t kBatchEntries = 256;
  // Of the pages that a batch can see, find() looks at this many with a like hash, so that a walk
  // ends soon; the others, which it passes over, are fewer than kDistance batches have. More than
  // a few are alike only where the same bytes were stored by batch after batch, before they could
  // be seen.
  static constexpr unsigned kMaxSeen = 128;

  struct Place {
    uint64_t where;  // offset in the file
    uint32_t size;   // as stored
  };

  // Error kNoMemory.
  static Result<DuplicateIndex> create();
  [[nodiscard]] static size_t memory_bytes() {
    return kEntries * sizeof(Entry) + kHeads * sizeof(Head);
  }

  // Batch `sequence` and those behind it see nothing of the batches before this one.
  [[nodiscard]] static uint64_t first_visible(uint64_t sequence) {
    return sequence < kReach ? 0 : sequence - kReach;
  }

  // For a page of batch `sequence`: of the same pages that it can see, the one added last.
  [[nodiscard]] std::optional<Place> find(uint64_t sequence, const PageHash& hash) const;
  // A page that batch `sequence` stored. Ascending.
  void add(uint64_t sequence, const PageHash& hash, const Place& place);
  // Neither batch `sequence` nor one before it will add any more.
  void end_batch(uint64_t sequence);

 private:
  // What a batch can see, and what the one that is being added may put in its place.
  static constexpr uint64_t kEntries = (kReach + 1) * kBatchEntries;
  static constexpr uint64_t kHeads = kEntries;
  // Begins that are of use: from the first batch that can be seen to the one to be added next.
  static constexpr uint64_t kBegins = 512;
  static_assert(kBegins > kReach + 1);

  using Head = std::atomic<uint64_t>;  // the number of the newest page with a like hash; 0: none
  struct Entry {
    PageHash hash;
    uint64_t where;
    uint32_t size;
    uint32_t back;  // to the number of the next older page with a like hash, or to none
  };
  static_assert(sizeof(Entry) == 32);

  [[nodiscard]] Head& head(const PageHash& hash) const { return heads_[hash.low % kHeads]; }
  [[nodiscard]] Entry& entry(uint64_t number) const { return entries_[(number - 1) % kEntries]; }
  // Pages that were added by batches before `sequence`.
  [[nodiscard]] uint64_t& begin(uint64_t sequence) { return begins_[sequence % kBegins]; }
  [[nodiscard]] uint64_t begin(uint64_t sequence) const { return begins_[sequence % kBegins]; }
  void begin_batch(uint64_t sequence);

  Buffer memory_;
  Entry* entries_ = nullptr;  // in memory_, as heads_
  Head* heads_ = nullptr;
  std::array<uint64_t, kBegins> begins_{};  // written before anyone can ask for them
  uint64_t batch_ = 0;                      // to which pages are being added
  uint64_t added_ = 0;                      // pages
};

}  // namespace dw
