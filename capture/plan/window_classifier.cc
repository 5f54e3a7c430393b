#include "capture/plan/window_classifier.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr uint64_t kMemmapPage = 4096;  // memory is unreadable by the page

// Bits [from, to) of a word, to at most 64.
uint64_t bits(uint64_t from, uint64_t to) {
  uint64_t below = to >= 64 ? ~uint64_t{0} : (uint64_t{1} << to) - 1;
  return from >= 64 ? 0 : below & ~uint64_t{0} << from;
}

void add_count(size_t code, uint64_t n, ClassCounts& counts, const PageRules& rules) {
  auto page_code = static_cast<PageCode>(code);
  counts.classes[static_cast<size_t>(class_of(page_code))] += n;
  if (code >= kPageClassCount) counts.unknown[code - kPageClassCount] += n;
  if (rules.is_dumped(page_code)) counts.kept += n;
}

// Most chunks lie within one block or one run.
bool all_alike(std::span<const PageCode> codes) {
  return std::memcmp(codes.data(), codes.data() + 1, codes.size() - 1) == 0;
}

void count_codes(std::span<const PageCode> codes, ClassCounts& counts, const PageRules& rules) {
  if (all_alike(codes)) {
    add_count(codes[0], codes.size(), counts, rules);
    return;
  }
  // Four rows: equal neighbours, which are the rule, need not wait for each other.
  std::array<std::array<uint32_t, 32>, 4> rows{};
  static_assert(kPageCodeCount <= 32);
  size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4)
    for (size_t row = 0; row < 4; ++row) ++rows[row][codes[i + row] & 31];
  for (; i < codes.size(); ++i) ++rows[0][codes[i] & 31];
  for (size_t code = 0; code < kPageCodeCount; ++code) {
    uint64_t n = uint64_t{rows[0][code]} + rows[1][code] + rows[2][code] + rows[3][code];
    if (n != 0) add_count(code, n, counts, rules);
  }
}

}  // namespace

uint64_t ClassCounts::total() const {
  uint64_t sum = 0;
  for (uint64_t n : classes) sum += n;
  return sum;
}

ClassCounts& ClassCounts::operator+=(const ClassCounts& other) {
  for (size_t i = 0; i < classes.size(); ++i) classes[i] += other.classes[i];
  for (size_t i = 0; i < unknown.size(); ++i) unknown[i] += other.unknown[i];
  kept += other.kept;
  return *this;
}

WindowClassifier::State::State(const Vmcore& vmcore_in, const VmcoreLayout& layout_in,
                               unsigned dump_level)
    : vmcore(vmcore_in),
      layout(layout_in),
      rules(layout_in.page, dump_level),
      memory(vmcore_in, layout_in.translation),
      memmap(layout_in, memory),
      usable(layout_in.usable() && rules.usable()) {}

Result<WindowClassifier> WindowClassifier::create(const Vmcore& vmcore, const VmcoreLayout& layout,
                                                  unsigned dump_level) {
  std::unique_ptr<State> state(new (std::nothrow) State(vmcore, layout, dump_level));
  if (!state) return Error(ErrorKind::kNoMemory, "no memory for a page classifier");
  if (state->usable) {
    size_t bytes = kPiecePages * state->rules.struct_page_bytes();
    DW_ASSIGN(state->struct_pages, Buffer::allocate(bytes));
    DW_ASSIGN(state->block_scratch, Buffer::allocate(3 * kMemmapPage));
  }
  return WindowClassifier(std::move(state));
}

// Reads page by page of the memmap; what cannot be had becomes zeros and is remembered.
void WindowClassifier::read_carefully(MutableBytes into) {
  State& s = *state_;
  uint64_t address = s.piece_address;
  s.unreadable.fill(false);
  for (size_t block = 0; !into.empty(); ++block) {
    size_t n = std::min<uint64_t>(into.size(), kMemmapPage - address % kMemmapPage);
    if (!s.memory.read(address, into.first(n)).ok()) {
      std::ranges::fill(into.first(n), std::byte{0});
      s.unreadable[block] = true;
      s.piece_damaged = true;
    }
    address += n;
    into = into.subspan(n);
  }
}

// A piece lies within one section and holds at most kPiecePages.
void WindowClassifier::load_piece(uint64_t first_pfn, uint64_t pages) {
  State& s = *state_;
  s.piece_pfn = first_pfn;
  s.piece_pages = pages;
  s.piece_read = s.piece_damaged = s.piece_offline = false;
  uint64_t number = s.memmap.section_of(first_pfn);
  Section section = s.memmap.section(number);
  s.piece_unknown = section.state == Section::State::kUnreadable ? UnknownReason::kMemmapUnreadable
                                                                 : UnknownReason::kNoMemmap;
  s.piece_offline = section.state == Section::State::kOffline;
  if (section.state != Section::State::kOnline && !s.piece_offline) return;
  size_t page_bytes = s.rules.struct_page_bytes();
  uint64_t first_of_section = number << s.layout.memmap.section_pages_order;
  s.piece_address = section.struct_pages + (first_pfn - first_of_section) * page_bytes;
  MutableBytes into = s.struct_pages.bytes().first(pages * page_bytes);
  if (!s.memory.read(s.piece_address, into).ok()) read_carefully(into);
  s.piece_read = true;
}

Block WindowClassifier::fetch_block(uint64_t pfn) {
  State& s = *state_;
  size_t page_bytes = s.rules.struct_page_bytes();
  if (s.piece_read && !s.piece_offline && pfn >= s.piece_pfn && pfn - s.piece_pfn < s.piece_pages)
    return s.rules.block_at(s.struct_pages.data() + (pfn - s.piece_pfn) * page_bytes, pfn);
  uint64_t number = s.memmap.section_of(pfn);
  Section section = s.memmap.section(number);
  if (section.state != Section::State::kOnline) return {};
  uint64_t first_of_section = number << s.layout.memmap.section_pages_order;
  uint64_t address = section.struct_pages + (pfn - first_of_section) * page_bytes;
  // Whole pages of the memmap, as read_carefully() does, so that both see the same.
  uint64_t begin = align_down(address, kMemmapPage);
  uint64_t end = align_up(address + 2 * page_bytes, kMemmapPage);
  MutableBytes into = s.block_scratch.bytes().first(end - begin);
  if (!s.memory.read(begin, into).ok()) return {};
  return s.rules.block_at(into.data() + (address - begin), pfn);
}

// The block that begins at `pfn`, a multiple of 2^order.
Block WindowClassifier::block_at(uint64_t pfn, unsigned order) {
  KnownBlock& known = state_->known_blocks[order];
  if (known.pfn != pfn) known = {.pfn = pfn, .block = fetch_block(pfn)};
  return known.block;
}

void WindowClassifier::remember_block(uint64_t pfn, const std::byte* pages) {
  unsigned largest = pfn == 0 ? kMaxCompoundOrder : static_cast<unsigned>(std::countr_zero(pfn));
  largest = std::min(largest, kMaxCompoundOrder);
  if (largest <= kChunkOrder) return;
  KnownBlock known{.pfn = pfn, .block = state_->rules.block_at(pages, pfn)};
  for (unsigned order = kChunkOrder + 1; order <= largest; ++order)
    state_->known_blocks[order] = known;
}

// The block that began before the chunk and holds it. Looking at the chunk's first page and at
// those that larger blocks would begin with gives the same answer for a chunk alone as for a walk
// over the window, and finds the head of a 1 GiB page however far back it is.
Block WindowClassifier::find_cover(uint64_t first_pfn, const std::byte* pages) {
  const PageRules& rules = state_->rules;
  bool interior = rules.is_interior(pages, first_pfn);
  unsigned largest = interior ? kMaxCompoundOrder : std::max(rules.free_area_length(), 1u) - 1;
  for (unsigned order = kChunkOrder + 1; order <= largest; ++order) {
    uint64_t head = align_down(first_pfn, uint64_t{1} << order);
    if (head == first_pfn) continue;
    Block block = block_at(head, order);
    if (block.kind == Block::Kind::kNone || block.order < order) continue;
    if (interior || block.kind == Block::Kind::kFree) return block;
  }
  return {};
}

// Struct pages that overlap an unreadable page of the memmap.
void WindowClassifier::keep_unreadable(uint64_t first_pfn) {
  State& s = *state_;
  size_t page_bytes = s.rules.struct_page_bytes();
  uint64_t base = align_down(s.piece_address, kMemmapPage);
  for (size_t i = 0; i < kChunkPages; ++i) {
    uint64_t begin = s.piece_address + (first_pfn - s.piece_pfn + i) * page_bytes;
    size_t first = (begin - base) / kMemmapPage;
    size_t last = (begin + page_bytes - 1 - base) / kMemmapPage;
    if (s.unreadable[first] || s.unreadable[last])
      s.codes[i] = code_of(UnknownReason::kMemmapUnreadable);
  }
}

void WindowClassifier::judge_offline(const std::byte* pages) {
  State& s = *state_;
  for (size_t i = 0; i < kChunkPages; ++i) {
    bool poisoned = s.rules.is_poisoned(pages + i * s.rules.struct_page_bytes());
    s.codes[i] = poisoned ? code_of(PageClass::kHwpoison) : code_of(UnknownReason::kSectionOffline);
  }
}

// The chunk lies within the piece. Fills state_->codes.
void WindowClassifier::judge_chunk(uint64_t first_pfn) {
  State& s = *state_;
  if (!s.usable || !s.piece_read) {
    s.codes.fill(code_of(s.usable ? s.piece_unknown : UnknownReason::kNoLayout));
    return;
  }
  const std::byte* pages =
      s.struct_pages.data() + (first_pfn - s.piece_pfn) * s.rules.struct_page_bytes();
  if (s.piece_offline) {
    judge_offline(pages);
  } else {
    remember_block(first_pfn, pages);
    Block cover = find_cover(first_pfn, pages);
    s.rules.classify_chunk(pages, first_pfn, cover, s.codes.data());
  }
  if (s.piece_damaged) keep_unreadable(first_pfn);
}

// Turns codes into verdict bits and counts, for the pages that are in the vmcore.
void WindowClassifier::settle_chunk(uint64_t first_pfn, std::span<uint64_t> verdict,
                                    ClassCounts& counts) {
  State& s = *state_;
  std::array<uint64_t, kChunkPages / 64> kept{};
  if (all_alike(s.codes)) {
    kept.fill(s.rules.is_dumped(s.codes[0]) ? ~uint64_t{0} : 0);
  } else {
    for (size_t word = 0; word < kept.size(); ++word)
      for (size_t i = 0; i < 64; ++i)
        kept[word] |= uint64_t{s.rules.is_dumped(s.codes[word * 64 + i])} << i;
  }
  const PhysicalMap& memory = s.vmcore.memory();
  uint64_t end_pfn = first_pfn + kChunkPages;
  for (auto range = memory.first_pfn_range_after(first_pfn);
       range != memory.pfn_ranges().end() && range->begin < end_pfn; ++range) {
    uint64_t from = std::max(range->begin, first_pfn) - first_pfn;
    uint64_t to = std::min(range->end, end_pfn) - first_pfn;
    count_codes(std::span(s.codes).subspan(from, to - from), counts, s.rules);
    for (uint64_t word = from / 64; word * 64 < to; ++word)
      verdict[word] |= kept[word] & bits(from - std::min(from, word * 64), to - word * 64);
  }
}

void WindowClassifier::classify(uint64_t first_pfn, uint64_t page_count,
                                std::span<uint64_t> verdict, ClassCounts& counts,
                                std::span<bool> kernel_chunks) {
  State& s = *state_;
  DW_CHECK(kernel_chunks.empty() || kernel_chunks.size() >= page_count / kChunkPages);
  std::ranges::fill(kernel_chunks, false);
  DW_CHECK(first_pfn % kChunkPages == 0 && page_count % kChunkPages == 0);
  DW_CHECK(verdict.size() >= page_count / 64);
  DW_CHECK(checked_add(first_pfn, page_count).has_value());
  std::ranges::fill(verdict.first(page_count / 64), uint64_t{0});
  const PhysicalMap& memory = s.vmcore.memory();
  uint64_t end_pfn = first_pfn + page_count;
  s.piece_pages = 0;
  for (uint64_t pfn = first_pfn; pfn < end_pfn; pfn += kChunkPages) {
    auto range = memory.first_pfn_range_after(pfn);
    if (range == memory.pfn_ranges().end() || range->begin >= end_pfn) break;
    if (range->begin >= pfn + kChunkPages) {
      pfn = align_down(range->begin, kChunkPages) - kChunkPages;
      continue;
    }
    if (s.usable && (s.piece_pages == 0 || pfn - s.piece_pfn >= s.piece_pages)) {
      uint64_t section = uint64_t{1} << s.layout.memmap.section_pages_order;
      uint64_t piece_end =
          align_down(pfn, std::min(kPiecePages, section)) + std::min(kPiecePages, section);
      load_piece(pfn, std::min(piece_end, end_pfn) - pfn);
    }
    judge_chunk(pfn);
    uint64_t kernel_before = counts.kernel();
    settle_chunk(pfn, verdict.subspan((pfn - first_pfn) / 64, kChunkPages / 64), counts);
    if (!kernel_chunks.empty())
      kernel_chunks[(pfn - first_pfn) / kChunkPages] = counts.kernel() > kernel_before;
  }
}

void WindowClassifier::classify_codes(uint64_t first_pfn, uint64_t page_count,
                                      std::span<PageCode> codes) {
  DW_CHECK(codes.size() >= page_count);
  std::array<uint64_t, kChunkPages / 64> verdict;
  ClassCounts counts;
  for (uint64_t done = 0; done < page_count; done += kChunkPages) {
    state_->codes.fill(code_of(UnknownReason::kNoMemmap));
    classify(first_pfn + done, kChunkPages, verdict, counts);
    std::ranges::copy(state_->codes, codes.begin() + static_cast<ptrdiff_t>(done));
  }
}

}  // namespace dw
