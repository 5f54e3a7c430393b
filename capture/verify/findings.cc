#include "capture/verify/findings.h"

#include <algorithm>
#include <utility>

#include "capture/verify/list_summary.h"

namespace dw {

void VerifyReport::count_by_list(uint64_t planned, uint64_t listed) {
  kept = std::max(planned, damaged);
  there = std::min(listed - std::min(listed, damaged), kept - damaged);
  missing = kept - there - damaged;
}

void Findings::add_part(const DamagedPart& part) {
  std::lock_guard lock(mutex_);
  ++report_.damaged_parts;
  if (parts_.size() < kMaxParts) parts_.push_back(part);
}

void Findings::check_size(uint64_t size, const ListSummary& list) {
  if (list.file_bytes && size < *list.file_bytes)
    add_part({"file", "ends too early", size, *list.file_bytes});
  else if (list.file_bytes && size > *list.file_bytes)
    add_part({"file", "goes on behind its end", *list.file_bytes, size});
  else if (size < list.data_end)
    add_part({"file", "ends before what its list of checksums vouches for", size, list.data_end});
}

void Findings::settle() {
  data_.settle();
  missing_.settle();
  report_.more_damage = data_.overflowed();
}

void Findings::tell_parts() {
  std::ranges::stable_sort(
      parts_, {}, [](const DamagedPart& part) { return std::pair(part.in_list, part.begin); });
  for (const DamagedPart& part : parts_) events_->part(part);
  parts_.clear();
}

void Findings::tell_pages(const DamagedPages& pages) {
  report_.damaged += pages.pages;
  events_->pages(pages);
}

}  // namespace dw
