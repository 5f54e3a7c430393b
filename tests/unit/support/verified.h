// A dump and its list of checksums in memory, verified as the command does it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "capture/verify/verify.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

struct DumpImages {
  std::vector<std::byte> dump;
  std::vector<std::byte> list;  // empty: there is none
};

struct VerifyOutcome {
  bool opened = false;
  std::string error;  // if not
  VerifyReport report;
  std::vector<DamagedPart> parts;
  std::vector<DamagedPages> pages;
  std::vector<std::string> notes;

  // What the command's exit status would be.
  [[nodiscard]] int status() const {
    if (!opened || !report.intact()) return 1;
    return report.whole() ? 0 : 3;
  }
};

// Both as files, made once: to be changed byte by byte and verified again and again.
class VerifySubject {
 public:
  explicit VerifySubject(const DumpImages& images, bool named_whole = true);

  // Of the dump, or of the list.
  void flip(bool in_list, size_t byte, unsigned bit);
  [[nodiscard]] VerifyOutcome verify(unsigned threads = 1) const;

 private:
  DumpImages images_;
  bool named_whole_;
  Fd dump_;
  Fd list_;
};

inline VerifyOutcome verify(const DumpImages& images, bool named_whole = true,
                            unsigned threads = 1) {
  return VerifySubject(images, named_whole).verify(threads);
}

// Two chunks of 131 pages that make a batch each: pages of each kind, repeated ones and zeros.
VmcoreBuilder two_chunks();

// A whole dump.
DumpImages saved(const VmcoreBuilder& builder, const CaptureSettings& settings);
// What a run left whose target failed at some call; nothing if that was too early or too late.
DumpImages interrupted(const VmcoreBuilder& builder, CaptureSettings settings, uint64_t fail_at);

// Flips a bit in each of these bytes, one after the other: the outcome has to be damage, and
// without any it must not be.
void check_every_flip(const DumpImages& images, bool in_list, size_t begin, size_t end,
                      bool named_whole);

// For messages of tests.
std::string text_of(const VerifyOutcome& outcome);

}  // namespace dw::test
