// The vmcore that the fault tests of every writer save.
#pragma once

#include <utility>
#include <vector>

#include "tests/unit/support/capture.h"
#include "tests/unit/support/vmcores.h"

namespace dw::test {

inline constexpr uint64_t kChunks = 8;

// Eight chunks of 130 pages each, so that each of them makes a batch and a frame: random, text and
// zero pages.
inline VmcoreBuilder eight_chunks() {
  VmcoreBuilder builder;
  builder.add_cpus(1).add_vmcoreinfo(vmcoreinfo_text());
  for (uint64_t i = 0; i < kChunks; ++i) {
    uint64_t at = (i * 256 + 8) * kPageBytes;
    builder.add_ram(at, 130 * kPageBytes);
    builder.fill_random(at, 2 * kPageBytes, i + 1);
    builder.fill(at + 5 * kPageBytes, 3 * kPageBytes, static_cast<uint8_t>(i + 1));
  }
  return builder;
}

struct Subject {
  VmcoreBuilder builder = eight_chunks();
  TemporaryVmcore file{builder};
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  std::vector<KnownPage> pages = known_pages(builder);
};

}  // namespace dw::test
