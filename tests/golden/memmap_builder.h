// A synthetic x86_64 kernel in a vmcore: page tables, mem_section, struct pages and a VMCOREINFO
// that describes them.
//
// The first 128 MiB of memory hold the kernel image, page tables, mem_section and the memmap of
// every section that has RAM; tests describe pages, mostly in other sections, and then build().
// Struct pages that no test mentions are all zeros but for _mapcount -1, as of pages in use by the
// kernel. A broken expectation stops the test program. Thread safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/golden/kernel_era.h"
#include "tests/golden/vmcore_builder.h"

namespace dw::golden {

inline constexpr uint64_t kSectionPages = uint64_t{1} << 15;  // 128 MiB
inline constexpr uint64_t kSectionBytes = kSectionPages * kPageBytes;
inline constexpr uint64_t kImageMap = 0xffffffff80000000;

struct KernelSpec {
  const KernelEra* era = &k6_12;
  bool vmemmap = true;            // else classic SPARSEMEM: memmaps in the direct map
  bool extreme = true;            // else a static array of mem_section
  bool table_by_pointer = false;  // SYMBOL(mem_section) is the address of a pointer to the table
  bool five_levels = false;
  bool small_vmemmap_pages = false;  // 4 KiB instead of 2 MiB mappings
  uint64_t kaslr_offset = 0;         // a multiple of 2 MiB
  uint64_t image_physical = 0x1000000;
  uint64_t sme_mask = 0;
  uint64_t struct_page_bytes = 64;  // another size needs small_vmemmap_pages
  unsigned free_area_length = 11;
};

enum class SectionState { kOnline, kOffline, kHotRemoved, kNoRoot, kNoMemmapMapping };

class KernelBuilder {
 public:
  explicit KernelBuilder(const KernelSpec& spec);

  // RAM besides the first 128 MiB: its sections get a memmap and are online.
  KernelBuilder& add_ram(uint64_t physical_address, uint64_t size);
  KernelBuilder& set_section(uint64_t number, SectionState state);
  [[nodiscard]] VmcoreBuilder& memory() { return vmcore_; }

  // Struct pages. `order` above 0 makes a block or a compound page.
  KernelBuilder& buddy(uint64_t pfn, unsigned order);
  KernelBuilder& per_cpu_list(uint64_t pfn);
  KernelBuilder& cache(uint64_t pfn, bool with_private = false, unsigned order = 0);
  KernelBuilder& swap_cache(uint64_t pfn, bool swap_backed = true);  // off the LRU lists
  KernelBuilder& anon(uint64_t pfn, unsigned order = 0, bool on_lru = true);
  // With vmemmap optimization every memmap page after the first repeats the first.
  KernelBuilder& hugetlb(uint64_t pfn, unsigned order, bool optimized = false);
  // Its page.mapping has bit 0 set, as from 6.2 on a slab's may.
  KernelBuilder& slab(uint64_t pfn, unsigned order = 0);
  KernelBuilder& page_table(uint64_t pfn);
  KernelBuilder& kernel_compound(uint64_t pfn, unsigned order);
  KernelBuilder& offline(uint64_t pfn);
  KernelBuilder& unaccepted(uint64_t pfn);
  KernelBuilder& hwpoison(uint64_t pfn);  // added to whatever the page is
  KernelBuilder& add_flag(uint64_t pfn, unsigned bit);
  KernelBuilder& fill_struct_page(uint64_t pfn, uint8_t byte);
  template <typename T>
  KernelBuilder& set(uint64_t pfn, unsigned offset, T value) {
    std::memcpy(page(pfn).data() + offset, &value, sizeof(T));
    return *this;
  }

  // VMCOREINFO: leave a key out ("NUMBER(PG_lru)"), give it another value, or add one.
  KernelBuilder& drop_key(std::string_view key);
  KernelBuilder& set_key(std::string_view key, std::string_view value);
  KernelBuilder& without_vmcoreinfo();
  [[nodiscard]] std::string vmcoreinfo() const;

  // Where things are, to damage them after build(). Physical addresses.
  [[nodiscard]] uint64_t struct_page_address(uint64_t pfn) const;
  [[nodiscard]] uint64_t top_table() const { return top_table_; }
  [[nodiscard]] const std::vector<uint64_t>& page_tables() const { return tables_; }
  [[nodiscard]] uint64_t section_table() const { return section_table_; }
  [[nodiscard]] uint64_t section_entry_address(uint64_t number) const;
  [[nodiscard]] uint64_t virtual_struct_page(uint64_t pfn) const;
  [[nodiscard]] uint64_t phys_base() const;
  [[nodiscard]] uint64_t direct_map() const;
  [[nodiscard]] uint64_t vmemmap_base() const;

  // Adds an x86_64 mapping; `leaf` is 4 KiB, 2 MiB or 1 GiB.
  void map(uint64_t virtual_address, uint64_t physical_address, uint64_t leaf);
  // A page of physical memory in the first 128 MiB that nothing else uses.
  uint64_t allocate(uint64_t size, uint64_t alignment = kPageBytes);

  // Call once. The result may be changed further.
  VmcoreBuilder& build();

 private:
  using StructPage = std::array<std::byte, 256>;

  StructPage& page(uint64_t pfn);
  void reset(uint64_t pfn);
  void make_compound(uint64_t pfn, unsigned order, bool hugetlb);
  void set_type(uint64_t pfn, int32_t type) { set(pfn, kMapcountAt, type); }
  void add_section(uint64_t number);
  void write_sections();
  void write_struct_pages();
  [[nodiscard]] uint64_t image_address(uint64_t offset) const;
  [[nodiscard]] uint64_t next_table(uint64_t entry_address);

  KernelSpec spec_;
  VmcoreBuilder vmcore_;
  std::map<uint64_t, StructPage> pages_;
  std::map<uint64_t, uint64_t> copies_;   // struct page of one pfn shows another's
  std::map<uint64_t, uint64_t> memmaps_;  // section number -> physical address of its memmap
  std::map<uint64_t, SectionState> states_;
  std::map<std::string, std::string, std::less<>> changed_keys_;
  std::set<std::string, std::less<>> dropped_keys_;
  std::vector<uint64_t> tables_;
  uint64_t top_table_;
  uint64_t section_table_ = 0;  // physical
  std::map<uint64_t, uint64_t> roots_;
  uint64_t next_free_;
  uint64_t next_memmap_;
  bool with_vmcoreinfo_ = true;
};

}  // namespace dw::golden
