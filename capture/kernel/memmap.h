// Where the struct pages of a section are: the memmap of SPARSEMEM, with and without VMEMMAP.
//
// Source: include/linux/mmzone.h, mm/sparse.c. Thread safety: one object per thread.
#pragma once

#include <cstdint>

#include "capture/kernel/layout.h"
#include "capture/kernel/translate.h"

namespace dw {

struct Section {
  enum class State : uint8_t {
    kOnline,
    kOffline,     // has a memmap, but was never brought online: what stands there means nothing
    kAbsent,      // has none: a hole, or hot-removed
    kUnreadable,  // its mem_section cannot be read or makes no sense
  };
  State state = State::kAbsent;
  uint64_t struct_pages = 0;  // virtual address of the struct page of its first page frame
};

class Memmap {
 public:
  // Both must outlive the object. `layout.memmap` is usable.
  Memmap(const VmcoreLayout& layout, KernelMemory& memory) : layout_(&layout), memory_(&memory) {}

  [[nodiscard]] Section section(uint64_t number);
  [[nodiscard]] uint64_t section_of(uint64_t pfn) const {
    return pfn >> layout_->memmap.section_pages_order;
  }

 private:
  Result<uint64_t> section_entry(uint64_t number);
  Section look_up(uint64_t number);

  const VmcoreLayout* layout_;
  KernelMemory* memory_;
  uint64_t cached_number_ = ~uint64_t{0};
  Section cached_;
};

// SYMBOL(mem_section) is the table itself, or a pointer to it (from 4.15 on it is allocated, and at
// first VMCOREINFO gave the pointer's address: kernel commits 83e3c48729d9, a0b1280368d1). Sets
// layout.memmap.table to the one that leads to struct pages. False if neither does.
[[nodiscard]] bool resolve_memmap(const Vmcore& vmcore, VmcoreLayout& layout);

}  // namespace dw
