// The plan: which chunks of memory are written, in which order, and where each page's descriptor
// stands.
//
// A chunk is kChunkPages (256) aligned page frames. The plan keeps two bytes per chunk (2 MiB per
// TiB of RAM) and sixteen per window; the pages themselves are found again when they are copied.
// For a dump whose bitmap cannot be read back it keeps four bytes per chunk more: a digest of it.
//
// Thread safety: immutable after PlanBuilder::finish().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/source/physical_map.h"
#include "filters/page_rules.h"

namespace dw {

// One memory section of x86_64 (128 MiB), at least the kernel's largest buddy block (4 MiB). Its
// bitmap is exactly one 4 KiB block of a kdump file.
inline constexpr uint64_t kWindowPages = 32768;
inline constexpr uint64_t kWindowChunks = kWindowPages / kChunkPages;
inline constexpr uint64_t kWindowWords = kWindowPages / 64;

// Chunks are written in this order; within one priority in order of address.
enum class ChunkPriority : uint8_t {
  kEssential,  // without these no debugger starts: kernel image, log, page tables
  kNear1,      // of kKernel, those one pointer away from the kernel image: kernel/near_pages.h
  kNear2,
  kNear3,
  kKernel,  // holds a page that is not zero, cache, user or free
  kOther,
};
inline constexpr unsigned kPriorityCount = 6;

// One bit per page frame of a chunk, least significant first: the pages that are kept.
using ChunkBits = std::array<uint64_t, kChunkPages / 64>;
[[nodiscard]] unsigned count_bits(const ChunkBits& bits);
// Not the same for two sets of pages, but for one in 2^32.
[[nodiscard]] uint32_t digest_of(const ChunkBits& bits);

struct PlannedChunk {
  uint64_t first_pfn;
  uint64_t rank;        // of the chunk's first kept page among all kept pages, in order of pfn
  unsigned kept;        // pages, 1..256
  uint32_t digest = 0;  // of the kept pages' bits, if the plan has digests
};

struct PlacedChunk {
  uint64_t slot;  // of the chunk's first kept page among all kept pages, in plan order
  unsigned kept;  // pages, 1..256
};

class Plan {
 public:
  [[nodiscard]] uint64_t kept_pages() const { return kept_pages_; }
  [[nodiscard]] uint64_t chunk_count() const { return chunk_count_; }
  [[nodiscard]] bool has_digests() const { return !digests_.empty() || windows_.empty(); }

  // Two plans with the same digest keep as many pages of each chunk and write them in the same
  // order; they keep the same ones if both have digests of their chunks, or both follow one bitmap.
  [[nodiscard]] uint64_t digest() const;

  // Walks the chunks with at least one kept page, in plan order.
  class Cursor {
   public:
    explicit Cursor(const Plan& plan) : plan_(&plan) {}
    [[nodiscard]] std::optional<PlannedChunk> next();

   private:
    const Plan* plan_;
    unsigned priority_ = 0;
    size_t window_ = 0;
    unsigned chunk_ = 0;  // within the window
    uint64_t rank_ = 0;   // of chunk_
  };

  [[nodiscard]] uint64_t kept_pages(ChunkPriority priority) const {
    return kept_by_priority_[static_cast<size_t>(priority)];
  }

  // Walks the same chunks in order of address.
  class AddressCursor {
   public:
    explicit AddressCursor(const Plan& plan);
    [[nodiscard]] std::optional<PlacedChunk> next();

   private:
    const Plan* plan_;
    size_t chunk_ = 0;
    std::array<uint64_t, kPriorityCount> next_slots_{};
  };

  // Memory that the plan of `memory` takes, in bytes.
  [[nodiscard]] static size_t memory_bytes(const PhysicalMap& memory, bool with_digests);

 private:
  friend class PlanBuilder;

  struct Window {
    uint64_t index;      // first pfn / kWindowPages
    uint64_t rank_base;  // kept pages in all windows before
  };
  static_assert(sizeof(Window) == 16);  // no gaps, so that it can be digested

  // Per chunk: kept pages in the low 9 bits, priority above. Until the window is set: 0, or the
  // preferred priority (never kEssential).
  static constexpr unsigned kKeptBits = 9;

  std::vector<Window> windows_;  // those with memory in them, ascending
  Buffer chunk_memory_;          // uint16_t, kWindowChunks for each of windows_
  std::span<uint16_t> chunks_;   // in chunk_memory_
  Buffer digest_memory_;         // uint32_t, as many, or nothing
  std::span<uint32_t> digests_;  // in digest_memory_
  uint64_t kept_pages_ = 0;
  std::array<uint64_t, kPriorityCount> kept_by_priority_{};
  uint64_t chunk_count_ = 0;
};

// Pass 1 fills this in, window by window, in any order and from several threads (each window by
// one of them).
class PlanBuilder {
 public:
  // Windows are given by their index (first pfn / kWindowPages), ascending. Error kNoMemory.
  static Result<PlanBuilder> create(std::span<const uint64_t> windows, bool with_digests);
  // Those that have memory in them.
  static Result<PlanBuilder> create(const PhysicalMap& memory, bool with_digests = false);

  [[nodiscard]] size_t window_count() const { return plan_.windows_.size(); }
  [[nodiscard]] uint64_t first_pfn(size_t window) const {
    return plan_.windows_[window].index * kWindowPages;
  }

  // The chunk with this page, if it turns out to be kKernel, shall be `priority`, which is more
  // urgent than that; the most urgent of several counts. From one thread, before any set_window().
  void prefer(uint64_t pfn, ChunkPriority priority);

  // `kept` is the window's bitmap, one bit per page frame, least significant first.
  void set_window(size_t window, std::span<const uint64_t> kept,
                  std::span<const ChunkPriority> priorities);

  [[nodiscard]] Plan finish() &&;

 private:
  Plan plan_;
};

}  // namespace dw
