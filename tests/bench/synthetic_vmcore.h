// Vmcores of any size for measurements: a sparse file in which the struct pages of 1 GiB stand once
// (or a few times), and as many PT_LOAD segments as there are GiB point at these same bytes.
//
// The file:   headers, notes | first 128 MiB of RAM | struct pages | 1 GiB that is a hole
// Each GiB of RAM:  1,008 MiB in the hole | 16 MiB of struct pages
// but of the first one 128 MiB are real: page tables, mem_section and the kernel image.
// Thread safety: none.
#pragma once

#include <cstdint>

#include "tests/bench/sample_memmap.h"

namespace dw::bench {

struct SyntheticVmcore {
  uint64_t gib = 1;
  // How often the struct pages stand in the file. One copy fits into the cache of a large CPU, and
  // reading it again and again shows no time for memory.
  uint64_t copies = 1;
};

inline constexpr uint64_t kMaxGiB = 4096;

// Physical address of the struct pages for the GiB of RAM at `gib` GiB.
[[nodiscard]] constexpr uint64_t memmap_address(uint64_t gib) {
  return (gib + 1) * kGiB - kMemmapBytes;
}

void write_synthetic_vmcore(const SampleMemmap& sample, const SyntheticVmcore& spec,
                            const char* path);

}  // namespace dw::bench
