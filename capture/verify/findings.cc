#include "capture/verify/findings.h"

#include <algorithm>
#include <utility>

namespace dw {

void Findings::add_part(const DamagedPart& part) {
  std::lock_guard lock(mutex_);
  ++report_.damaged_parts;
  if (parts_.size() < kMaxParts) parts_.push_back(part);
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
