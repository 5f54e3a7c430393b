#include "tests/golden/memmap_builder.h"

#include <cstdio>
#include <cstdlib>

namespace dw::golden {

namespace {

constexpr uint64_t kFirstRam = 128 << 20;
// Page tables and mem_section, then memmaps: a file cut within a memmap still has all tables.
constexpr uint64_t kHeap = 32 << 20;
constexpr uint64_t kMemmapHeap = 64 << 20;
// Offsets from the start of the kernel image.
constexpr uint64_t kTopTableAt = 0x10000;
constexpr uint64_t kSectionPointerAt = 0x20000;
constexpr uint64_t kEntryFlags = 0x63;  // present, writable, accessed, dirty
constexpr uint64_t kLeafFlag = 0x80;
constexpr uint64_t kSectionEntryBytes = 32;
constexpr uint64_t kSectionsPerRoot = kPageBytes / kSectionEntryBytes;
constexpr uint64_t k2M = 2 << 20;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "memmap_builder: %s\n", what);
  std::abort();
}

}  // namespace

KernelBuilder::KernelBuilder(const KernelSpec& spec)
    : spec_(spec),
      top_table_(spec.image_physical + kTopTableAt),
      next_free_(kHeap),
      next_memmap_(kMemmapHeap) {
  vmcore_.add_segment({.physical_address = spec.image_physical,
                       .memory_size = 0x200000,
                       .virtual_address = image_address(0),
                       .file_size = 0x200000});
  vmcore_.add_segment({.physical_address = 0x1000,
                       .memory_size = kFirstRam - 0x1000,
                       .virtual_address = direct_map() + 0x1000,
                       .file_size = kFirstRam - 0x1000});
  vmcore_.fill(top_table_, kPageBytes, 0);
  tables_.push_back(top_table_);
  add_section(0);
}

uint64_t KernelBuilder::image_address(uint64_t offset) const {
  return kImageMap + 0x1000000 + spec_.kaslr_offset + offset;
}

uint64_t KernelBuilder::phys_base() const {
  return spec_.image_physical - 0x1000000 - spec_.kaslr_offset;
}

uint64_t KernelBuilder::direct_map() const {
  return spec_.five_levels ? 0xff11000000000000 : kDirectMap;
}

uint64_t KernelBuilder::vmemmap_base() const {
  return spec_.five_levels ? 0xffd4000000000000 : 0xffffea0000000000;
}

uint64_t KernelBuilder::allocate(uint64_t size, uint64_t alignment) {
  uint64_t at = (next_free_ + alignment - 1) / alignment * alignment;
  next_free_ = at + size;
  if (next_free_ > kMemmapHeap) fail("no memory for tables");
  return at;
}

KernelBuilder& KernelBuilder::add_ram(uint64_t physical_address, uint64_t size) {
  vmcore_.add_segment({.physical_address = physical_address,
                       .memory_size = size,
                       .virtual_address = direct_map() + physical_address,
                       .file_size = size});
  for (uint64_t number = physical_address / kSectionBytes;
       number * kSectionBytes < physical_address + size; ++number)
    add_section(number);
  return *this;
}

void KernelBuilder::add_section(uint64_t number) {
  if (memmaps_.contains(number)) return;
  memmaps_[number] = next_memmap_;
  next_memmap_ += (kSectionPages * spec_.struct_page_bytes + k2M - 1) / k2M * k2M;
  if (next_memmap_ > kFirstRam) fail("no memory for memmaps");
  states_.try_emplace(number, SectionState::kOnline);
}

KernelBuilder& KernelBuilder::set_section(uint64_t number, SectionState state) {
  states_[number] = state;
  return *this;
}

KernelBuilder::StructPage& KernelBuilder::page(uint64_t pfn) {
  if (!memmaps_.contains(pfn / kSectionPages)) fail("a page outside RAM");
  if (!pages_.contains(pfn)) reset(pfn);
  return pages_[pfn];
}

void KernelBuilder::reset(uint64_t pfn) {
  pages_[pfn].fill(std::byte{0});
  set(pfn, kMapcountAt, int32_t{-1});
}

KernelBuilder& KernelBuilder::buddy(uint64_t pfn, unsigned order) {
  for (uint64_t i = 0; i < uint64_t{1} << order; ++i) reset(pfn + i);
  set_type(pfn, spec_.era->buddy);
  set(pfn, kCompoundHeadAt, direct_map() + 0x5000);  // list pointer: even
  return set(pfn, kPrivateAt, uint64_t{order});
}

KernelBuilder& KernelBuilder::per_cpu_list(uint64_t pfn) {
  reset(pfn);
  return set(pfn, kCompoundHeadAt, direct_map() + 0x5008);
}

void KernelBuilder::make_compound(uint64_t pfn, unsigned order, bool hugetlb) {
  const KernelEra& era = *spec_.era;
  if (order == 0) return;
  add_flag(pfn, era.head);
  for (uint64_t i = 1; i < uint64_t{1} << order; ++i) {
    reset(pfn + i);
    set(pfn + i, kCompoundHeadAt, virtual_struct_page(pfn) | 1);
    set(pfn + i, kMappingAt, uint64_t{0xdead000000000401});  // odd: it must not look anonymous
  }
  if (era.compound == KernelEra::Compound::kSecondFlags) {
    uint64_t flags = order;
    if (hugetlb && era.hugetlb_flag) flags |= uint64_t{1} << *era.hugetlb_flag;
    set(pfn + 1, kFlagsAt, flags);
  } else {
    set(pfn + 1, kDtorAt, static_cast<uint8_t>(hugetlb ? kHugetlbDtor : 1));
    set(pfn + 1, kOrderAt, static_cast<uint8_t>(order));
  }
  if (hugetlb && era.hugetlb) set_type(pfn, *era.hugetlb);
}

KernelBuilder& KernelBuilder::cache(uint64_t pfn, bool with_private, unsigned order) {
  reset(pfn);
  add_flag(pfn, spec_.era->lru);
  add_flag(pfn, spec_.era->referenced);
  set(pfn, kMappingAt, direct_map() + 0x7000);
  if (with_private) add_flag(pfn, spec_.era->private_flag);
  make_compound(pfn, order, false);
  return *this;
}

KernelBuilder& KernelBuilder::swap_cache(uint64_t pfn, bool swap_backed) {
  reset(pfn);
  if (swap_backed) add_flag(pfn, spec_.era->swapbacked);
  return add_flag(pfn, spec_.era->swapcache);
}

KernelBuilder& KernelBuilder::anon(uint64_t pfn, unsigned order, bool on_lru) {
  reset(pfn);
  if (on_lru) add_flag(pfn, spec_.era->lru);
  add_flag(pfn, spec_.era->swapbacked);
  set(pfn, kMapcountAt, int32_t{3});
  set(pfn, kMappingAt, (direct_map() + 0x9000) | 1);
  make_compound(pfn, order, false);
  return *this;
}

KernelBuilder& KernelBuilder::hugetlb(uint64_t pfn, unsigned order, bool optimized) {
  reset(pfn);
  make_compound(pfn, order, true);
  if (!optimized) return *this;
  uint64_t per_memmap_page = kPageBytes / spec_.struct_page_bytes;
  for (uint64_t i = per_memmap_page; i < uint64_t{1} << order; ++i)
    copies_[pfn + i] = pfn + i % per_memmap_page;
  return *this;
}

KernelBuilder& KernelBuilder::slab(uint64_t pfn, unsigned order) {
  reset(pfn);
  set(pfn, kMappingAt, uint64_t{0x80801});
  if (spec_.era->slab_flag) add_flag(pfn, *spec_.era->slab_flag);
  if (spec_.era->slab) set_type(pfn, *spec_.era->slab);
  make_compound(pfn, order, false);
  return *this;
}

KernelBuilder& KernelBuilder::page_table(uint64_t pfn) {
  reset(pfn);
  set_type(pfn, spec_.era->page_table);
  return *this;
}

KernelBuilder& KernelBuilder::kernel_compound(uint64_t pfn, unsigned order) {
  reset(pfn);
  make_compound(pfn, order, false);
  return *this;
}

KernelBuilder& KernelBuilder::offline(uint64_t pfn) {
  if (!spec_.era->offline) fail("this kernel does not tell offline pages");
  reset(pfn);
  set_type(pfn, *spec_.era->offline);
  return *this;
}

KernelBuilder& KernelBuilder::unaccepted(uint64_t pfn) {
  if (!spec_.era->unaccepted) fail("this kernel does not tell unaccepted pages");
  reset(pfn);
  set_type(pfn, *spec_.era->unaccepted);
  return *this;
}

KernelBuilder& KernelBuilder::hwpoison(uint64_t pfn) { return add_flag(pfn, spec_.era->hwpoison); }

KernelBuilder& KernelBuilder::add_flag(uint64_t pfn, unsigned bit) {
  uint64_t flags;
  std::memcpy(&flags, page(pfn).data() + kFlagsAt, sizeof(flags));
  return set(pfn, kFlagsAt, flags | uint64_t{1} << bit);
}

KernelBuilder& KernelBuilder::fill_struct_page(uint64_t pfn, uint8_t byte) {
  page(pfn).fill(std::byte{byte});
  return *this;
}

KernelBuilder& KernelBuilder::drop_key(std::string_view key) {
  dropped_keys_.emplace(key);
  return *this;
}

KernelBuilder& KernelBuilder::set_key(std::string_view key, std::string_view value) {
  changed_keys_.insert_or_assign(std::string(key), std::string(value));
  return *this;
}

KernelBuilder& KernelBuilder::without_vmcoreinfo() {
  with_vmcoreinfo_ = false;
  return *this;
}

uint64_t KernelBuilder::struct_page_address(uint64_t pfn) const {
  return memmaps_.at(pfn / kSectionPages) + pfn % kSectionPages * spec_.struct_page_bytes;
}

uint64_t KernelBuilder::virtual_struct_page(uint64_t pfn) const {
  if (spec_.vmemmap) return vmemmap_base() + pfn * spec_.struct_page_bytes;
  return direct_map() + struct_page_address(pfn);
}

uint64_t KernelBuilder::section_entry_address(uint64_t number) const {
  if (!spec_.extreme) return section_table_ + number * kSectionEntryBytes;
  return roots_.at(number / kSectionsPerRoot) + number % kSectionsPerRoot * kSectionEntryBytes;
}

uint64_t KernelBuilder::next_table(uint64_t entry_address) {
  uint64_t entry;
  vmcore_.read(entry_address, std::as_writable_bytes(std::span(&entry, 1)));
  if (entry != 0) return entry & 0xffffffffff000 & ~spec_.sme_mask;
  uint64_t table = allocate(kPageBytes);
  tables_.push_back(table);
  vmcore_.store(entry_address, table | kEntryFlags | spec_.sme_mask);
  return table;
}

void KernelBuilder::map(uint64_t virtual_address, uint64_t physical_address, uint64_t leaf) {
  unsigned last = leaf == kPageBytes ? 1 : leaf == k2M ? 2 : 3;
  uint64_t table = top_table_;
  for (unsigned level = spec_.five_levels ? 5 : 4;; --level) {
    uint64_t index = virtual_address >> (12 + 9 * (level - 1)) & 511;
    if (level != last) {
      table = next_table(table + index * 8);
      continue;
    }
    uint64_t flags = kEntryFlags | (last > 1 ? kLeafFlag : 0) | spec_.sme_mask;
    vmcore_.store(table + index * 8, physical_address | flags);
    return;
  }
}

void KernelBuilder::write_sections() {
  uint64_t count = uint64_t{1} << ((spec_.five_levels ? 52 : 46) - 27);
  uint64_t last = memmaps_.rbegin()->first;
  if (last >= count) fail("RAM beyond the largest section");
  uint64_t used =
      spec_.extreme ? (last / kSectionsPerRoot + 1) * 8 : (last + 1) * kSectionEntryBytes;
  section_table_ = allocate(used);
  vmcore_.store(spec_.image_physical + kSectionPointerAt, direct_map() + section_table_);
  for (const auto& [number, memmap] : memmaps_) {
    SectionState state = states_.at(number);
    if (spec_.extreme && state == SectionState::kNoRoot) continue;
    if (spec_.extreme && !roots_.contains(number / kSectionsPerRoot)) {
      uint64_t root = roots_[number / kSectionsPerRoot] = allocate(kPageBytes);
      vmcore_.store(section_table_ + number / kSectionsPerRoot * 8, direct_map() + root);
    }
    uint64_t first_pfn = number * kSectionPages;
    uint64_t pages = virtual_struct_page(first_pfn);
    uint64_t flags = state == SectionState::kHotRemoved ? 0
                     : state == SectionState::kOffline  ? 3
                                                        : 15;
    vmcore_.store(section_entry_address(number),
                  pages - first_pfn * spec_.struct_page_bytes + flags);
    uint64_t leaf = spec_.small_vmemmap_pages ? kPageBytes : k2M;
    uint64_t bytes = kSectionPages * spec_.struct_page_bytes;
    if (!spec_.vmemmap || state == SectionState::kNoMemmapMapping) continue;
    for (uint64_t at = 0; at < bytes; at += leaf) map(pages + at, memmap + at, leaf);
  }
}

void KernelBuilder::write_struct_pages() {
  for (const auto& [pfn, bytes] : pages_) {
    const StructPage& shown = copies_.contains(pfn) ? pages_.at(copies_.at(pfn)) : bytes;
    vmcore_.write(struct_page_address(pfn), std::span(shown).first(spec_.struct_page_bytes));
  }
}

VmcoreBuilder& KernelBuilder::build() {
  for (uint64_t at = 0; at < kFirstRam; at += k2M) map(direct_map() + at, at, k2M);
  map(image_address(0) & ~(k2M - 1), spec_.image_physical, k2M);
  write_sections();
  write_struct_pages();
  vmcore_.add_cpus(2);
  if (with_vmcoreinfo_) vmcore_.add_vmcoreinfo(vmcoreinfo());
  return vmcore_;
}

}  // namespace dw::golden
