#include "capture/format/elf_layout.h"

#include <elf.h>

#include <algorithm>

#include "capture/base/checked.h"

namespace dw {

ElfLayout::ElfLayout(const ElfDescription& description, uint64_t page_size)
    : ranges_(description.ranges), page_size_(page_size) {
  pages_before_.reserve(ranges_.size());
  for (const PfnRange& range : ranges_) {
    pages_before_.push_back(page_count_);
    page_count_ += range.end - range.begin;
  }
  size_t headers = description.segments.size() + 1;
  notes_offset_ = program_headers_offset() + headers * sizeof(Elf64_Phdr);
  data_offset_ = align_up(notes_offset_ + description.notes.size(), page_size_);
}

uint64_t ElfLayout::program_headers_offset() const { return sizeof(Elf64_Ehdr); }

std::optional<ElfLayout::Run> ElfLayout::next_run(uint64_t begin, uint64_t end) const {
  auto range = std::ranges::upper_bound(ranges_, begin, {}, &PfnRange::end);
  if (range == ranges_.end() || range->begin >= end) return std::nullopt;
  uint64_t first = std::max(begin, range->begin);
  auto index = static_cast<size_t>(range - ranges_.begin());
  return Run{.first_pfn = first,
             .count = static_cast<unsigned>(std::min(end, range->end) - first),
             .offset = data_offset_ + (pages_before_[index] + first - range->begin) * page_size_};
}

uint64_t ElfLayout::offset_of(uint64_t pfn) const {
  std::optional<Run> run = next_run(pfn, pfn + 1);
  DW_CHECK(run);
  return run->offset;
}

}  // namespace dw
