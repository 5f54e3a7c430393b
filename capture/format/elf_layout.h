// Where everything stands in an ELF core as it is written here. elf.md is the specification.
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "capture/base/bytes.h"
#include "capture/source/elf_headers.h"
#include "capture/source/physical_map.h"

namespace dw {

// What is pointed to must outlive the writer.
struct ElfDescription {
  Machine machine = Machine::kX86_64;
  Bytes notes;
  std::span<const Segment> segments;  // become program headers; their file offsets are not used
  // The page frames in the dump, sorted and disjoint: all that the segments bring.
  std::span<const PfnRange> ranges;
};

class ElfLayout {
 public:
  // Keeps what `description` points to. Allocates eight bytes for each of its ranges.
  ElfLayout(const ElfDescription& description, uint64_t page_size);

  [[nodiscard]] uint64_t page_size() const { return page_size_; }
  [[nodiscard]] uint64_t program_headers_offset() const;
  [[nodiscard]] uint64_t notes_offset() const { return notes_offset_; }
  // Of the first page.
  [[nodiscard]] uint64_t data_offset() const { return data_offset_; }
  [[nodiscard]] uint64_t file_bytes() const { return data_offset_ + page_count_ * page_size_; }

  // Page frames that stand one behind the other in the file.
  struct Run {
    uint64_t first_pfn = 0;
    unsigned count = 0;
    uint64_t offset = 0;  // of the first one in the file
  };
  // The first of the page frames [begin, end) that the core has, and those right behind it.
  [[nodiscard]] std::optional<Run> next_run(uint64_t begin, uint64_t end) const;
  // Where a page frame that the core has stands in the file.
  [[nodiscard]] uint64_t offset_of(uint64_t pfn) const;

 private:
  std::span<const PfnRange> ranges_;
  uint64_t page_size_;
  std::vector<uint64_t> pages_before_;  // each of the ranges
  uint64_t page_count_ = 0;
  uint64_t notes_offset_ = 0;
  uint64_t data_offset_ = 0;
};

}  // namespace dw
