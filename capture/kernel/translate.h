// The crashed kernel's virtual memory: address translation, and reads by virtual address.
//
// x86_64, 4 and 5 levels. Page tables are untrusted: a walk has as many steps as there are levels,
// and a table outside the vmcore is an Error.
// Thread safety: one object per thread; it owns its readers and caches one table per level.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/kernel/layout.h"
#include "capture/source/physical_memory.h"
#include "capture/source/vmcore.h"

namespace dw {

inline constexpr uint64_t kTableBytes = 4096;
inline constexpr size_t kTableEntries = 512;

// Bits of an x86_64 page table entry (arch/x86/include/asm/pgtable_types.h).
inline constexpr uint64_t kEntryPresent = 1;
inline constexpr uint64_t kEntryLarge = 1 << 7;  // a leaf in the tables of 1 GiB and 2 MiB

// The address that bits of a table entry at `level` select: 1 for 4 KiB pages up to 5.
[[nodiscard]] constexpr unsigned level_shift(unsigned level) { return 12 + 9 * (level - 1); }

// Physically contiguous memory that starts where a virtual address points.
struct Mapping {
  uint64_t physical_address;
  uint64_t size;  // bytes up to the end of the leaf
};

class KernelMemory {
 public:
  // Both must outlive the object.
  KernelMemory(const Vmcore& vmcore, const TranslationLayout& layout)
      : KernelMemory(std::make_unique<VmcoreReader>(vmcore), std::make_unique<VmcoreReader>(vmcore),
                     layout) {}
  // Two readers of the same memory: one for page tables, one for what they lead to.
  KernelMemory(std::unique_ptr<PhysicalMemory> tables, std::unique_ptr<PhysicalMemory> data,
               const TranslationLayout& layout)
      : layout_(&layout), tables_(std::move(tables)), data_(std::move(data)) {}

  // Errors: kBadInput for an address that is not mapped or whose tables lie outside the vmcore,
  // kIo for tables that cannot be read.
  Result<Mapping> translate(uint64_t address);

  // Reads [address, address + into.size()); large leaves are read in one piece, as are small ones
  // that follow each other.
  Status read(uint64_t address, MutableBytes into);

  Result<uint64_t> read_word(uint64_t address);

 private:
  struct CachedTable {
    uint64_t address = ~uint64_t{0};  // physical
    std::array<uint64_t, kTableEntries> entries;
  };

  Result<Mapping> walk(uint64_t address);
  Result<uint64_t> entry(unsigned level, uint64_t table, size_t index);

  const TranslationLayout* layout_;
  // Apart, so that a mapped vmcore keeps both places mapped, and a dump both pages unpacked.
  std::unique_ptr<PhysicalMemory> tables_;
  std::unique_ptr<PhysicalMemory> data_;
  std::array<CachedTable, 5> cache_;
};

}  // namespace dw
