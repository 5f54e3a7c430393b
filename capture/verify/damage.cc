#include "capture/verify/damage.h"

#include <algorithm>
#include <utility>

namespace dw {

const char* text_of(Damage damage) {
  switch (damage) {
    case Damage::kData:
      return "the data does not match its checksum";
    case Damage::kSuspect:
      return "the data of these pages together does not match its checksum";
    case Damage::kUnreadable:
      return "the data cannot be read";
    case Damage::kDescriptor:
      return "the page descriptor makes no sense";
    case Damage::kTable:
      return "the page descriptors do not match their checksum";
    case Damage::kMissing:
      return "not there, though the dump says that it is whole";
  }
  return "damaged";
}

void DamagedData::add(uint64_t begin, uint64_t end, Damage damage) {
  std::lock_guard lock(mutex_);
  if (overflowed_) return;
  if (!places_.empty() && places_.back().damage == damage) {
    Place& last = places_.back();
    if (last.begin <= begin && end <= last.end) return;
    if (last.end == begin) {
      last.end = end;
      return;
    }
  }
  if (places_.size() == kMaxPlaces) drop_repeated();
  if (!overflowed_) places_.push_back({.begin = begin, .end = end, .damage = damage});
}

// Pages that share their bytes may have been looked at one by one.
void DamagedData::drop_repeated() {
  auto place = [](const Place& each) { return std::pair(each.begin, each.end); };
  std::ranges::sort(places_, {}, place);
  auto same = [&](const Place& a, const Place& b) { return place(a) == place(b); };
  places_.erase(std::unique(places_.begin(), places_.end(), same), places_.end());
  overflowed_ = places_.size() > kMaxPlaces / 2;
}

void DamagedData::settle() {
  std::ranges::sort(places_, {}, &Place::begin);
  // Places overlap only where a page was looked at twice. So that the one that ends last before an
  // offset is the one that begins last:
  uint64_t end = 0;
  for (Place& place : places_) end = place.end = std::max(place.end, end);
}

const DamagedData::Place* DamagedData::find(uint64_t begin, uint64_t length) const {
  auto after = std::ranges::upper_bound(places_, begin, {}, &Place::begin);
  if (after != places_.begin() && std::prev(after)->end > begin) return &*std::prev(after);
  if (after != places_.end() && after->begin < begin + length) return &*after;
  return nullptr;
}

}  // namespace dw
