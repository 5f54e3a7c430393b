#include "capture/kernel/important_pages.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "capture/base/checked.h"
#include "capture/kernel/notes.h"
#include "capture/kernel/translate.h"

namespace dw {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kMaxDescriptorBits = 24;
constexpr uint64_t kImageBegin = 0xffffffff80000000;  // __START_KERNEL_map
// struct elf_prstatus of x86_64 (include/linux/elfcore.h): pr_reg at 112, of which sp is the 20th.
constexpr size_t kStackPointerAt = 112 + 19 * 8;
constexpr uint64_t kStackBytes = 4 * kPageBytes;  // THREAD_SIZE, without KASAN; its alignment too
constexpr unsigned kMaxStacks = 4096;

class Finder {
 public:
  Finder(const Vmcore& vmcore, const VmcoreLayout& layout)
      : vmcore_(vmcore),
        layout_(layout),
        info_(vmcoreinfo_of(vmcore)),
        memory_(vmcore, layout.translation),
        tables_(vmcore) {}

  void find_image();
  void find_log();
  void find_stacks();
  void find_page_tables();
  ImportantPages finish();

 private:
  // Physical [begin, begin + size).
  void add(uint64_t begin, uint64_t size);
  void add_virtual(uint64_t address, uint64_t size);
  void find_ring_buffer();
  // The value of the kernel's variable `symbol`.
  Result<uint64_t> variable(const char* symbol);
  void visit_table(unsigned level, uint64_t table, size_t first_entry);

  const Vmcore& vmcore_;
  const VmcoreLayout& layout_;
  Vmcoreinfo info_;
  KernelMemory memory_;
  VmcoreReader tables_;
  ImportantPages found_;
};

void Finder::add(uint64_t begin, uint64_t size) {
  if (size == 0 || !range_fits(begin, size, kMaxPhysicalAddress)) return;
  found_.ranges.push_back(
      {.begin = begin / kPageBytes, .end = divide_up(begin + size, kPageBytes)});
}

void Finder::add_virtual(uint64_t address, uint64_t size) {
  size = std::min(size, kMaxLogBytes);
  if (!checked_add(address, size)) return;
  while (size != 0) {
    Result<Mapping> mapping = memory_.translate(address);
    if (!mapping.ok()) return;
    uint64_t n = std::min(size, mapping->size);
    add(mapping->physical_address, n);
    address += n;
    size -= n;
  }
}

void Finder::find_image() {
  if (vmcore_.headers().machine != Machine::kX86_64) return;
  for (const Segment& segment : vmcore_.headers().segments)
    if (segment.virtual_address >= kImageBegin) add(segment.physical_address, segment.memory_size);
}

Result<uint64_t> Finder::variable(const char* symbol) {
  std::optional<uint64_t> address = info_.symbol(symbol);
  if (!address) return Error(ErrorKind::kBadInput, "no such symbol in VMCOREINFO");
  return memory_.read_word(*address);
}

void Finder::find_log() {
  Result<uint64_t> buffer = variable("log_buf");
  Result<uint64_t> length = variable("log_buf_len");  // u32
  if (buffer.ok() && length.ok()) add_virtual(*buffer, *length & 0xffffffff);
  find_ring_buffer();
}

// From 5.10: kernel/printk/printk_ringbuffer.h. The text is log_buf; its descriptors stand apart.
void Finder::find_ring_buffer() {
  Result<uint64_t> ring = variable("prb");
  std::optional<uint64_t> descriptor_bytes = info_.size("prb_desc");
  std::optional<uint64_t> info_bytes = info_.size("printk_info");
  std::optional<uint64_t> ring_at = info_.offset("printk_ringbuffer.desc_ring");
  std::optional<uint64_t> bits_at = info_.offset("prb_desc_ring.count_bits");
  std::optional<uint64_t> descriptors_at = info_.offset("prb_desc_ring.descs");
  std::optional<uint64_t> infos_at = info_.offset("prb_desc_ring.infos");
  if (!ring.ok() || !descriptor_bytes || !info_bytes || !ring_at || !bits_at || !descriptors_at ||
      !infos_at)
    return;
  add_virtual(*ring, kPageBytes);
  uint64_t at = *ring + *ring_at;
  Result<uint64_t> bits = memory_.read_word(at + *bits_at);
  Result<uint64_t> descriptors = memory_.read_word(at + *descriptors_at);
  Result<uint64_t> infos = memory_.read_word(at + *infos_at);
  if (!bits.ok() || !descriptors.ok() || !infos.ok()) return;
  uint64_t count = uint64_t{1} << std::min(*bits & 0xffffffff, kMaxDescriptorBits);
  add_virtual(*descriptors, checked_mul(count, *descriptor_bytes).value_or(0));
  add_virtual(*infos, checked_mul(count, *info_bytes).value_or(0));
}

// Those that the CPUs stood on when their registers were saved.
void Finder::find_stacks() {
  NoteWalker walker(vmcore_.headers().notes);
  unsigned left = kMaxStacks;
  while (std::optional<Note> note = walker.next()) {
    if (note->type != NT_PRSTATUS || note->name != "CORE") continue;
    uint64_t pointer;
    if (note->description.size() < kStackPointerAt + sizeof(pointer) || left-- == 0) return;
    std::memcpy(&pointer, note->description.data() + kStackPointerAt, sizeof(pointer));
    uint64_t stack = align_down(pointer, kStackBytes);
    for (uint64_t at = 0; at < kStackBytes; at += kPageBytes) add_virtual(stack + at, kPageBytes);
  }
}

// As deep as there are levels, and at most kMaxPageTables in all: tables that point back at
// themselves are counted like others until the limit ends the walk.
void Finder::visit_table(unsigned level, uint64_t table, size_t first_entry) {
  if (found_.table_count >= kMaxPageTables) {
    found_.cut = true;
    return;
  }
  std::array<uint64_t, kTableEntries> entries;
  if (!tables_.read(table, std::as_writable_bytes(std::span(entries))).ok()) return;
  ++found_.table_count;
  add(table, kTableBytes);
  if (level == 1) return;
  uint64_t previous = 0;
  for (size_t i = first_entry; i < kTableEntries && !found_.cut; ++i) {
    uint64_t entry = entries[i];
    // A table of KASAN's shadow is shared by all entries around it.
    bool again = entry == previous;
    previous = entry;
    bool leaf = level <= 3 && (entry & kEntryLarge) != 0;
    if (again || leaf || (entry & kEntryPresent) == 0) continue;
    visit_table(level - 1, entry & layout_.translation.entry_address_mask, 0);
  }
}

// The kernel's half of the address space: the upper one.
void Finder::find_page_tables() {
  if (layout_.translation.levels == 0) return;
  visit_table(layout_.translation.levels, layout_.translation.top_table, kTableEntries / 2);
}

ImportantPages Finder::finish() {
  std::vector<PfnRange>& ranges = found_.ranges;
  std::ranges::sort(ranges, {}, &PfnRange::begin);
  size_t kept = 0;
  for (const PfnRange& range : ranges) {
    if (kept != 0 && range.begin <= ranges[kept - 1].end)
      ranges[kept - 1].end = std::max(ranges[kept - 1].end, range.end);
    else
      ranges[kept++] = range;
  }
  ranges.resize(kept);
  return std::move(found_);
}

}  // namespace

ImportantPages find_important_pages(const Vmcore& vmcore, const VmcoreLayout& layout) {
  Finder finder(vmcore, layout);
  finder.find_image();
  if (layout.translation.levels != 0) {
    finder.find_log();
    finder.find_stacks();
  }
  finder.find_page_tables();
  return finder.finish();
}

}  // namespace dw
