// The struct pages of 1 GiB of RAM, which a synthetic vmcore repeats for every GiB that it claims.
//
// Either made up, the same ones for the same seed, with the kinds of pages and blocks of a machine
// that has been up for a while; or those of a real guest with 1 GiB of RAM. A broken expectation
// ends the program. Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dw::bench {

inline constexpr uint64_t kGiB = uint64_t{1} << 30;
inline constexpr uint64_t kPagesPerGiB = kGiB / 4096;
inline constexpr uint64_t kStructPageBytes = 64;
inline constexpr uint64_t kMemmapBytes = kPagesPerGiB * kStructPageBytes;  // per GiB of RAM

struct SampleMemmap {
  std::vector<std::byte> struct_pages;  // kMemmapBytes
  std::string page_keys;  // VMCOREINFO lines about struct page and the buddy allocator
};

[[nodiscard]] SampleMemmap make_sample_memmap(uint64_t seed);

// Of the first GiB of RAM in the vmcore at `path`, which must have struct pages of 64 bytes.
[[nodiscard]] SampleMemmap read_sample_memmap(const char* path);

// The lines of `vmcoreinfo` that SampleMemmap::page_keys holds, or all others.
[[nodiscard]] std::string page_key_lines(const std::string& vmcoreinfo, bool page_keys);

[[noreturn]] void fail(const char* what);

}  // namespace dw::bench
