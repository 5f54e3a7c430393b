// What is found while a dump is verified, by all threads, until it is told.
// Thread safety: add_part(), data() and missing() from any thread; everything else from one.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "capture/verify/damage.h"

namespace dw {

struct ListSummary;

// What verifying came to. Pages, unless the name says otherwise.
struct VerifyReport {
  uint64_t kept = 0;           // that the dump is of
  uint64_t there = 0;          // and right, as far as anything can tell
  uint64_t missing = 0;        // never written; of a whole dump they count as damaged
  uint64_t damaged = 0;        //
  uint64_t unchecked = 0;      // of those there: no checksum speaks for them
  uint64_t damaged_parts = 0;  // that are no pages
  bool says_whole = false;     // the dump does
  bool has_list = false;       // of checksums, and it is this dump's
  bool more_damage = false;    // than was counted

  // Where only the list can count: pages of the plan, and those that it has. `damaged` is known.
  void count_by_list(uint64_t planned, uint64_t listed);

  [[nodiscard]] bool intact() const { return damaged == 0 && damaged_parts == 0 && !more_damage; }
  [[nodiscard]] bool whole() const { return says_whole && missing == 0; }
};

class Findings {
 public:
  explicit Findings(const VerifyEvents& events) : events_(&events) {}

  void add_part(const DamagedPart& part);
  // What a file of `size` bytes lacks of what the list speaks for, or has besides.
  void check_size(uint64_t size, const ListSummary& list);
  [[nodiscard]] DamagedData& data() { return data_; }
  // Places without a page, of which nothing else in the dump says so.
  [[nodiscard]] DamagedData& missing() { return missing_; }
  VerifyReport& report() { return report_; }

  // To be called once, when all damage is known, before it is told.
  void settle();
  void note(const char* text) const { events_->note(text); }
  // Tells the parts, in the order of their places.
  void tell_parts();
  void tell_pages(const DamagedPages& pages);

 private:
  // Told; more are only counted.
  static constexpr size_t kMaxParts = 1000;

  const VerifyEvents* events_;
  VerifyReport report_;
  DamagedData data_;
  DamagedData missing_;
  std::mutex mutex_;
  std::vector<DamagedPart> parts_;
};

}  // namespace dw
