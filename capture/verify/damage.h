// What verifying finds, and where in the file the data is damaged.
//
// Damage of data is kept as places in the file; which pages it takes, the descriptors tell when all
// of them are walked at the end: pages may share their bytes.
// Thread safety: DamagedData::add() from any thread; everything else from one.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/result.h"

namespace dw {

enum class Damage : uint8_t {
  kData,        // the page does not decompress, or its own checksum fails
  kSuspect,     // the checksum over several pages fails, and nothing says which of them it is
  kUnreadable,  // the medium does not give it, or the file ends before it
  kDescriptor,  // it points nowhere
  kTable,       // the descriptors' checksum fails
  kMissing,     // not there, though the dump says that it is whole
};

// A clause that says so.
[[nodiscard]] const char* text_of(Damage damage);

// Pages next to each other in the dump, with the same damage.
struct DamagedPages {
  uint64_t first_pfn = 0;
  uint64_t last_pfn = 0;
  uint64_t pages = 0;  // of those in between that are in the dump
  Damage damage{};
  uint64_t begin = 0;  // the places of their bytes in the file; the same: none
  uint64_t end = 0;
};

// Something that is no page.
struct DamagedPart {
  const char* part;  // a literal, as are all here: "header"
  const char* what;  // a clause
  uint64_t begin = 0;
  uint64_t end = 0;      // the same: no place to tell
  bool in_list = false;  // the places are in the list of checksums, not in the dump
};

struct VerifyEvents {
  std::function<void(const DamagedPart&)> part = [](const DamagedPart&) {};
  // In order of page frame.
  std::function<void(const DamagedPages&)> pages = [](const DamagedPages&) {};
  // A sentence for whoever asked.
  std::function<void(const char*)> note = [](const char*) {};
};

class DamagedData {
 public:
  // Places kept; of a dump that is damaged in half as many or more, some pages may not be told.
  static constexpr size_t kMaxPlaces = 65536;

  struct Place {
    uint64_t begin;
    uint64_t end;
    Damage damage;
  };

  void add(uint64_t begin, uint64_t end, Damage damage);

  // To be called once before find().
  void settle();
  [[nodiscard]] bool empty() const { return places_.empty(); }
  [[nodiscard]] bool overflowed() const { return overflowed_; }
  // Whether any of these bytes are damaged.
  [[nodiscard]] const Place* find(uint64_t begin, uint64_t length) const;

 private:
  void drop_repeated();

  std::mutex mutex_;
  std::vector<Place> places_;
  bool overflowed_ = false;
};

}  // namespace dw
