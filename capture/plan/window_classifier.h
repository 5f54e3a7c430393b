// Which pages of a window or a chunk the dump keeps, from the crashed kernel's own struct pages.
//
// A window or chunk is judged afresh each time; the same memory gives the same answer, whatever was
// asked before, so pass 2 finds what pass 1 counted. What cannot be decided is kept and counted.
// Thread safety: one object per thread, about 300 KiB each; the Vmcore and the VmcoreLayout are
// shared and must outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "capture/base/buffer.h"
#include "capture/base/result.h"
#include "capture/kernel/layout.h"
#include "capture/kernel/memmap.h"
#include "capture/kernel/translate.h"
#include "capture/source/vmcore.h"
#include "filters/page_class.h"
#include "filters/page_rules.h"

namespace dw {

// Counts of page frames that are in the vmcore.
struct ClassCounts {
  std::array<uint64_t, kPageClassCount> classes{};  // kUnknown is the sum of `unknown`
  std::array<uint64_t, kUnknownReasonCount> unknown{};
  uint64_t kept = 0;  // before the zero test

  [[nodiscard]] uint64_t of(PageClass page_class) const {
    return classes[static_cast<size_t>(page_class)];
  }
  [[nodiscard]] uint64_t of(UnknownReason reason) const {
    return unknown[static_cast<size_t>(reason)];
  }
  [[nodiscard]] uint64_t total() const;
  // The kernel's own pages and those that might be.
  [[nodiscard]] uint64_t kernel() const {
    return of(PageClass::kOther) + of(PageClass::kSlab) + of(PageClass::kUnknown);
  }
  ClassCounts& operator+=(const ClassCounts& other);
  friend bool operator==(const ClassCounts&, const ClassCounts&) = default;
};

class WindowClassifier {
 public:
  // Error kNoMemory if its scratch is refused. `dump_level` 0 to 31.
  static Result<WindowClassifier> create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                         unsigned dump_level);

  // Memory that one object takes, in bytes, with struct pages of 64 bytes.
  [[nodiscard]] static size_t memory_bytes() { return 320 << 10; }

  // Judges pages [first_pfn, first_pfn + page_count), both multiples of kChunkPages: a window, a
  // chunk, or any run of chunks. Bit i of `verdict` (LSB first, page_count / 64 words) is set if
  // page first_pfn + i is in the vmcore and to be read and kept; zero pages are told later, while
  // copying. Adds the pages that are in the vmcore to `counts`. `kernel_chunks`, if not empty, has
  // one element per chunk: whether it holds a page that is not cache, user or free.
  void classify(uint64_t first_pfn, uint64_t page_count, std::span<uint64_t> verdict,
                ClassCounts& counts, std::span<bool> kernel_chunks = {});

  // The same, for callers that want to know what each page is. One code per page, present or not.
  void classify_codes(uint64_t first_pfn, uint64_t page_count, std::span<PageCode> codes);

  [[nodiscard]] const PageRules& rules() const { return state_->rules; }

 private:
  // Struct pages are fetched this many at a time: with 64 bytes each, 256 KiB stay in the L2 cache
  // between the copy and the judgement.
  static constexpr uint64_t kPiecePages = 4096;

  struct KnownBlock {
    uint64_t pfn = ~uint64_t{0};
    Block block;
  };
  struct State {
    State(const Vmcore& vmcore_in, const VmcoreLayout& layout_in, unsigned dump_level);

    const Vmcore& vmcore;
    const VmcoreLayout& layout;
    PageRules rules;
    KernelMemory memory;
    Memmap memmap;
    bool usable;

    // The piece: struct pages of [piece_pfn, piece_pfn + piece_pages).
    Buffer struct_pages;
    Buffer block_scratch;
    uint64_t piece_pfn = 0;
    uint64_t piece_pages = 0;
    UnknownReason piece_unknown = UnknownReason::kNoMemmap;  // of all its pages, unless piece_read
    bool piece_read = false;
    bool piece_offline = false;
    bool piece_damaged = false;  // some of `unreadable` is set
    // By 4 KiB of the memmap, counted from the one that the piece begins in.
    std::array<bool, kPiecePages * kMaxStructPageBytes / 4096 + 2> unreadable{};
    uint64_t piece_address = 0;

    // The last block looked up at each order.
    std::array<KnownBlock, kMaxCompoundOrder + 1> known_blocks{};
    std::array<PageCode, kChunkPages> codes{};
  };

  explicit WindowClassifier(std::unique_ptr<State> state) : state_(std::move(state)) {}

  void load_piece(uint64_t first_pfn, uint64_t pages);
  void read_carefully(MutableBytes into);
  void judge_chunk(uint64_t first_pfn);
  void keep_unreadable(uint64_t first_pfn);
  void judge_offline(const std::byte* pages);
  [[nodiscard]] Block find_cover(uint64_t first_pfn, const std::byte* pages);
  [[nodiscard]] Block block_at(uint64_t pfn, unsigned order);
  [[nodiscard]] Block fetch_block(uint64_t pfn);
  void remember_block(uint64_t pfn, const std::byte* pages);
  void settle_chunk(uint64_t first_pfn, std::span<uint64_t> verdict, ClassCounts& counts);

  std::unique_ptr<State> state_;
};

}  // namespace dw
