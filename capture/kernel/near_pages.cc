#include "capture/kernel/near_pages.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>
#include <span>

#include "capture/base/checked.h"
#include "capture/kernel/memmap.h"
#include "capture/kernel/translate.h"

namespace dw {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kImageBegin = 0xffffffff80000000;  // __START_KERNEL_map
constexpr uint64_t kMaxImageBytes = 1 << 30;          // KERNEL_IMAGE_SIZE is at most this

// How much is read of what a pointer points at: a node of an xarray or radix tree, whose 64 slots
// lead from a process number to its task, has 576 bytes.
constexpr uint64_t kObjectBytes = 576;
// struct xa_node of include/linux/xarray.h, radix_tree_node before 4.20: the same places.
constexpr uint64_t kNodeParentAt = 8;
constexpr uint64_t kNodeArrayAt = 16;
constexpr uint64_t kNodeSlotsAt = 40;
constexpr size_t kNodeSlots = 64;
constexpr uint64_t kMaxArrayBytes = 16;  // of struct xarray up to its head; more with debugging
constexpr unsigned kMaxNodeDepth = 11;   // 64 bits, six at a time

// THREAD_SIZE, without KASAN. Stacks are mapped page by page: CONFIG_VMAP_STACK.
constexpr unsigned kStackPages = 4;

// Busy guests of 4 GiB have 20,000 to 32,000 objects and take less than a million translations, in
// 0.05 s, or 0.1 s mapped.
constexpr size_t kMaxObjects = 1 << 16;
constexpr uint64_t kMaxTranslations = 1 << 22;
constexpr unsigned kSeenBits = 17;
constexpr size_t kSeenSlots = size_t{1} << kSeenBits;
constexpr size_t kMaxSeen = kSeenSlots / 4 * 3;
constexpr size_t kPieceWords = 8192;

// Marks in the low bits of an address, which is a multiple of eight.
constexpr uint64_t kMember = 1;  // of a list: inside of an object, not at its beginning
constexpr uint64_t kPage = 2;    // the whole page

// A page that was translated by tables. Pointers to a page come in numbers, and a walk through a
// mapped vmcore's tables maps one of them after the other.
struct Translated {
  uint64_t page;  // virtual, of the pages that share this entry; 0: none
  uint64_t physical_address;
  uint64_t size;  // of the mapping from the page's begin on, 0: not mapped
};
constexpr size_t kTranslatedPages = 2048;

struct Scratch {
  std::array<uint64_t, kMaxObjects> objects;
  std::array<uint32_t, kSeenSlots> seen;
  std::array<uint64_t, kPieceWords> piece;
  std::array<Translated, kTranslatedPages> translated;
};

class Walk {
 public:
  Walk(const Vmcore& vmcore, const VmcoreLayout& layout, Scratch& scratch,
       const NearPages::Visit& visit)
      : vmcore_(vmcore),
        layout_(layout),
        visit_(visit),
        scratch_(scratch),
        memory_(vmcore, layout.translation),
        data_(vmcore) {
    find_linear();
    find_used();
    if (layout.usable()) find_memmap();
  }

  void scan_image();
  void scan_objects();

 private:
  void find_linear();
  void find_used();
  bool is_mapped(uint64_t address, uint64_t physical_address);
  void find_memmap();
  std::optional<uint64_t> memmap_by_section(uint64_t pfn);
  void scan_piece(uint64_t physical_address, size_t words);
  void scan(uint64_t address, uint64_t bytes);
  void scan_object(uint64_t object);

  bool may_point(uint64_t word) const;
  void point_at(uint64_t word, uint64_t mark);
  bool follow_list(uint64_t head, uint64_t first);
  bool follow_xarray(uint64_t head, uint64_t entry);
  void visit_node(uint64_t node, unsigned depth);
  bool is_new(uint64_t key);
  Result<Mapping> translate(uint64_t address);
  size_t read(uint64_t address, std::span<uint64_t> into);
  void visit(uint64_t physical_address);

  const Vmcore& vmcore_;
  const VmcoreLayout& layout_;
  const NearPages::Visit& visit_;
  Scratch& scratch_;
  KernelMemory memory_;
  VmcoreReader data_;
  uint64_t linear_begin_ = 0;  // virtual; of physical address 0
  uint64_t linear_bytes_ = 0;
  std::bitset<kTableEntries> used_;  // entries of the top table below which something is mapped
  uint64_t memmap_begin_ = 0;        // virtual; empty if it is not one range
  uint64_t memmap_bytes_ = 0;
  size_t object_count_ = 0;
  size_t seen_count_ = 0;
  uint64_t translations_ = 0;
  uint64_t visited_ = ~uint64_t{0};  // the page last visited, at this distance
  unsigned distance_ = 1;
};

// The direct map, so that most pointers are translated without a table. It is as the segments say
// if the tables say so, too.
void Walk::find_linear() {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool first = true;
  for (const Segment& segment : vmcore_.headers().segments) {
    if (segment.virtual_address >= kImageBegin) continue;
    uint64_t base = segment.virtual_address - segment.physical_address;
    if (!first && base != begin) return;
    if (first && !is_mapped(segment.virtual_address, segment.physical_address)) return;
    first = false;
    begin = base;
    end = std::max(end, checked_add(segment.physical_address, segment.memory_size).value_or(0));
  }
  linear_begin_ = begin;
  linear_bytes_ = end;
}

// Linux fills the top table's entries for vmalloc at boot, with tables that mostly stay empty. What
// only looks like a pointer would lead there in vain, each to another table.
void Walk::find_used() {
  const TranslationLayout& translation = layout_.translation;
  std::array<uint64_t, kTableEntries> top;
  if (!data_.read(translation.top_table, std::as_writable_bytes(std::span(top))).ok()) return;
  std::span<uint64_t> below = std::span(scratch_.piece).first(kTableEntries);
  for (size_t i = kTableEntries / 2; i < kTableEntries; ++i) {
    if ((top[i] & kEntryPresent) == 0) continue;
    uint64_t table = top[i] & translation.entry_address_mask;
    if (!data_.read(table, std::as_writable_bytes(below)).ok()) continue;
    used_[i] = std::ranges::any_of(below, [](uint64_t e) { return (e & kEntryPresent) != 0; });
  }
}

bool Walk::is_mapped(uint64_t address, uint64_t physical_address) {
  Result<Mapping> mapping = memory_.translate(address);
  return mapping.ok() && mapping->physical_address == physical_address;
}

// Where the struct page of page frame 0 would be if all stood in one array.
std::optional<uint64_t> Walk::memmap_by_section(uint64_t pfn) {
  Memmap memmap(layout_, memory_);
  uint64_t number = memmap.section_of(pfn);
  Section section = memmap.section(number);
  if (section.state != Section::State::kOnline) return std::nullopt;
  uint64_t first_pfn = number << layout_.memmap.section_pages_order;
  return section.struct_pages - first_pfn * layout_.page.struct_page_bytes;
}

// Pointers to struct pages are many, and no debugger follows them at first. With SPARSEMEM_VMEMMAP
// all struct pages are one array.
void Walk::find_memmap() {
  const auto& ranges = vmcore_.memory().pfn_ranges();
  if (ranges.empty()) return;
  std::optional<uint64_t> first = memmap_by_section(ranges.front().begin);
  std::optional<uint64_t> last = memmap_by_section(ranges.back().end - 1);
  if (!first || first != last) return;
  memmap_begin_ = *first;
  memmap_bytes_ =
      checked_mul(ranges.back().end, layout_.page.struct_page_bytes).value_or(uint64_t{0});
}

bool Walk::may_point(uint64_t word) const {
  // Two comparisons settle nearly all words.
  if (word >= kImageBegin || word < uint64_t{0xff} << 56) return false;
  if (!used_[word >> level_shift(layout_.translation.levels) & (kTableEntries - 1)]) return false;
  return word - memmap_begin_ >= memmap_bytes_ && translations_ < kMaxTranslations;
}

Result<Mapping> Walk::translate(uint64_t address) {
  ++translations_;
  uint64_t physical = address - linear_begin_;
  if (physical < linear_bytes_)
    return Mapping{.physical_address = physical, .size = linear_bytes_ - physical};
  uint64_t page = align_down(address, kPageBytes);
  Translated& known = scratch_.translated[page / kPageBytes % kTranslatedPages];
  if (known.page != page) {
    Result<Mapping> mapping = memory_.translate(page);
    known = {.page = page,
             .physical_address = mapping.ok() ? mapping->physical_address : 0,
             .size = mapping.ok() ? mapping->size : 0};
  }
  if (known.size == 0) return Error(ErrorKind::kBadInput, "not mapped");
  uint64_t inside = address - page;
  return Mapping{.physical_address = known.physical_address + inside, .size = known.size - inside};
}

// Words from `address` on, until one is not mapped or not there. Returns how many.
size_t Walk::read(uint64_t address, std::span<uint64_t> into) {
  size_t done = 0;
  while (done < into.size()) {
    uint64_t at = address + done * 8;
    Result<Mapping> mapping = translate(at);
    if (!mapping.ok()) break;
    // No further than the page: from there on it may not be in the vmcore.
    uint64_t room = std::min(mapping->size, kPageBytes - at % kPageBytes) / 8;
    std::span<uint64_t> piece = into.subspan(done, std::min<uint64_t>(room, into.size() - done));
    if (piece.empty()) break;
    if (!data_.read(mapping->physical_address, std::as_writable_bytes(piece)).ok()) break;
    done += piece.size();
  }
  return done;
}

// A fingerprint is kept, not the key: one object in 2^32 is taken for another and left out.
bool Walk::is_new(uint64_t key) {
  uint64_t hash = key * 0x9e3779b97f4a7c15;
  auto print = static_cast<uint32_t>(hash >> 15) | 1;
  size_t slot = hash >> (64 - kSeenBits);
  for (; scratch_.seen[slot] != 0; slot = (slot + 1) % kSeenSlots)
    if (scratch_.seen[slot] == print) return false;
  if (seen_count_ == kMaxSeen) return false;
  scratch_.seen[slot] = print;
  ++seen_count_;
  return true;
}

void Walk::visit(uint64_t physical_address) {
  uint64_t pfn = physical_address / kPageBytes;
  if (pfn != visited_) visit_(pfn, distance_);
  visited_ = pfn;
}

void Walk::point_at(uint64_t word, uint64_t mark) {
  if (!may_point(word)) return;
  uint64_t address = align_down(word, 8);
  Result<Mapping> mapping = translate(address);
  if (!mapping.ok()) return;
  visit(mapping->physical_address);
  bool stack = address % kPageBytes == 0 && mapping->size == kPageBytes;
  for (unsigned i = 1; stack && i < kStackPages; ++i) {
    Result<Mapping> next = translate(address + i * kPageBytes);
    if (!next.ok()) break;
    visit(next->physical_address);
  }
  if (distance_ < kMaxDistance && object_count_ < kMaxObjects && is_new(address | mark))
    scratch_.objects[object_count_++] = address | mark;
}

// Whether `first` is the next member after `head`, which only a list makes likely: the member
// points back. No member is met twice, since it has one predecessor.
bool Walk::follow_list(uint64_t head, uint64_t first) {
  uint64_t previous = head;
  uint64_t member = first;
  while (member != head && member % 8 == 0 && may_point(member)) {
    std::array<uint64_t, 2> links;  // struct list_head: next, previous
    if (read(member, links) != links.size() || links[1] != previous) break;
    point_at(member, kMember);
    previous = member;
    member = links[0];
  }
  return previous != head;
}

// `entry` of a root or slot is a node if its low bits say so.
bool is_node(uint64_t entry) { return (entry & 3) == 2; }

// Whether `entry`, at `head`, leads to the uppermost node of an xarray: the node knows its array,
// which begins a little before.
bool Walk::follow_xarray(uint64_t head, uint64_t entry) {
  if (!is_node(entry)) return false;
  uint64_t node = entry - 2;
  uint64_t array;
  if (read(node + kNodeArrayAt, std::span(&array, 1)) == 0 || head - array > kMaxArrayBytes)
    return false;
  visit_node(node, 1);
  return true;
}

void Walk::visit_node(uint64_t node, unsigned depth) {
  point_at(node, 0);
  std::array<uint64_t, kNodeSlots> slots;
  size_t count = read(node + kNodeSlotsAt, slots);
  for (uint64_t entry : std::span(slots).first(count)) {
    if (depth == kMaxNodeDepth || !is_node(entry) || !may_point(entry)) continue;
    uint64_t parent;
    if (read(entry - 2 + kNodeParentAt, std::span(&parent, 1)) == 1 && parent == node)
      visit_node(entry - 2, depth + 1);
  }
}

void Walk::scan_piece(uint64_t physical_address, size_t words) {
  std::span<uint64_t> piece = std::span(scratch_.piece).first(words);
  if (!data_.read(physical_address, std::as_writable_bytes(piece)).ok()) return;
  const TranslationLayout& translation = layout_.translation;
  uint64_t address = translation.image_begin + (physical_address - translation.phys_base);
  for (size_t i = 0; i < words; ++i) {
    uint64_t word = piece[i];
    uint64_t here = address + i * 8;
    if (may_point(word) && !follow_list(here, word) && !follow_xarray(here, word))
      point_at(word, 0);
  }
}

void Walk::scan_image() {
  uint64_t left = kMaxImageBytes;
  for (const Segment& segment : vmcore_.headers().segments) {
    if (segment.virtual_address < kImageBegin || segment.physical_address % 8 != 0) continue;
    uint64_t size = std::min(segment.file_size, left);
    left -= size;
    for (uint64_t at = 0; at + 8 <= size;) {
      size_t words = std::min<uint64_t>((size - at) / 8, kPieceWords);
      scan_piece(segment.physical_address + at, words);
      at += words * 8;
    }
  }
}

void Walk::scan(uint64_t address, uint64_t bytes) {
  std::span<uint64_t> piece = std::span(scratch_.piece).first(bytes / 8);
  for (uint64_t word : piece.first(read(address, piece))) point_at(word, 0);
}

void Walk::scan_object(uint64_t object) {
  uint64_t address = align_down(object, 8);
  if ((object & kMember) == 0) return scan(address, kObjectBytes);
  // A task's stack pointer stands some 2 KiB before its place in the list of tasks.
  uint64_t page = align_down(address, kPageBytes);
  for (uint64_t begin : {page - kPageBytes, page})
    if (is_new(begin | kPage)) scan(begin, kPageBytes);
}

// Each distance in order of address: a mapped vmcore is slow to jump about in.
void Walk::scan_objects() {
  size_t begin = 0;
  for (distance_ = 2; distance_ <= kMaxDistance; ++distance_) {
    size_t end = object_count_;
    visited_ = ~uint64_t{0};
    std::ranges::sort(std::span(scratch_.objects).subspan(begin, end - begin));
    for (; begin < end; ++begin) scan_object(scratch_.objects[begin]);
  }
}

}  // namespace

Result<NearPages> NearPages::create() {
  DW_ASSIGN(Buffer scratch, Buffer::allocate(sizeof(Scratch)));
  return NearPages(std::move(scratch));
}

size_t NearPages::memory_bytes() { return sizeof(Scratch); }

void NearPages::find(const Vmcore& vmcore, const VmcoreLayout& layout, const Visit& visit) {
  if (layout.translation.levels == 0) return;
  auto& scratch = *reinterpret_cast<Scratch*>(scratch_.data());
  scratch.seen.fill(0);
  scratch.translated.fill({});
  Walk walk(vmcore, layout, scratch, visit);
  walk.scan_image();
  walk.scan_objects();
}

}  // namespace dw
