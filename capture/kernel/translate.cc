#include "capture/kernel/translate.h"

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

namespace {

Error not_mapped(uint64_t address) {
  return Error(ErrorKind::kBadInput, "a kernel address that is not mapped")
      .at(Where::kAddress, address);
}

// The upper half of the address space: all bits above those that the tables translate are set.
bool is_kernel_address(uint64_t address, unsigned levels) {
  unsigned bits = level_shift(levels) + 9;
  return address >> (bits - 1) == ~uint64_t{0} >> (bits - 1);
}

}  // namespace

Result<uint64_t> KernelMemory::entry(unsigned level, uint64_t table, size_t index) {
  CachedTable& cached = cache_[level - 1];
  if (cached.address != table) {
    cached.address = ~uint64_t{0};
    DW_TRY(tables_->read(table, std::as_writable_bytes(std::span(cached.entries))));
    cached.address = table;
  }
  return cached.entries[index];
}

Result<Mapping> KernelMemory::walk(uint64_t address) {
  if (layout_->levels == 0 || !is_kernel_address(address, layout_->levels))
    return not_mapped(address);
  uint64_t table = layout_->top_table;
  for (unsigned level = layout_->levels; level >= 1; --level) {
    size_t index = address >> level_shift(level) & (kTableEntries - 1);
    DW_ASSIGN(uint64_t value, entry(level, table, index));
    if ((value & kEntryPresent) == 0) return not_mapped(address);
    table = value & layout_->entry_address_mask;
    bool leaf = level == 1 || (level <= 3 && (value & kEntryLarge) != 0);
    if (!leaf) continue;
    uint64_t size = uint64_t{1} << level_shift(level);
    uint64_t inside = address & (size - 1);
    return Mapping{.physical_address = align_down(table, size) + inside, .size = size - inside};
  }
  return not_mapped(address);
}

Result<Mapping> KernelMemory::translate(uint64_t address) {
  if (layout_->levels != 0 && address >= layout_->image_begin && address < layout_->image_end)
    return Mapping{.physical_address = address - layout_->image_begin + layout_->phys_base,
                   .size = layout_->image_end - address};
  return walk(address);
}

Status KernelMemory::read(uint64_t address, MutableBytes into) {
  while (!into.empty()) {
    DW_ASSIGN(Mapping piece, translate(address));
    while (piece.size < into.size()) {
      Result<Mapping> next = translate(address + piece.size);
      if (!next.ok() || next->physical_address != piece.physical_address + piece.size) break;
      piece.size += next->size;
    }
    size_t n = std::min<uint64_t>(into.size(), piece.size);
    DW_TRY(data_->read(piece.physical_address, into.first(n)));
    address += n;
    into = into.subspan(n);
  }
  return {};
}

Result<uint64_t> KernelMemory::read_word(uint64_t address) {
  uint64_t word = 0;
  DW_TRY(read(address, std::as_writable_bytes(std::span(&word, 1))));
  return word;
}

}  // namespace dw
