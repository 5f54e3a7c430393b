// Vmcores that several tests use, and how to compare a dump with the memory it was made from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "capture/base/fd.h"
#include "capture/format/kdump_reader.h"
#include "tests/golden/vmcore_builder.h"

namespace dw::test {

using golden::kPageBytes;
using golden::SegmentSpec;
using golden::TemporaryVmcore;
using golden::VmcoreBuilder;

inline constexpr uint64_t kKernelMap = 0xffffffff80000000;  // x86_64: __START_KERNEL_map
inline constexpr uint64_t kImagePhysical = 0x100000;
inline constexpr uint64_t kUtsOffset = 0x40;
inline constexpr const char* kCrashTime = "1700000000";  // 2023-11-14 22:13:20 UTC

// Writes a struct new_utsname at `address`.
void store_utsname(VmcoreBuilder& builder, uint64_t address, std::string_view nodename);

// VMCOREINFO that points at the utsname stored at kImagePhysical + kUtsOffset.
std::string vmcoreinfo_text(std::string_view crash_time = kCrashTime);

// A whole small x86_64 crash of host `nodename`: an image segment that overlaps RAM, text, random
// and zero pages, a hole, an end that is not page aligned; two CPUs and VMCOREINFO. 560 KiB of RAM.
VmcoreBuilder small_crash(std::string_view nodename = "web-1",
                          std::string_view crash_time = kCrashTime);

// The same with `mib` MiB of pages that do not compress behind it.
VmcoreBuilder large_crash(uint64_t mib);

// A file in memory.
Fd memory_file(Bytes content);

struct Comparison {
  uint64_t right = 0;
  uint64_t missing = 0;   // all-zero descriptor
  uint64_t refused = 0;   // the reader says it is damaged
  uint64_t wrong = 0;     // read, but differs: must never be
  uint64_t excluded = 0;  // RAM that the dump does not have
};

// Every page of RAM of a vmcore with the content it must have.
struct KnownPage {
  uint64_t pfn;
  std::vector<std::byte> content;
};
std::vector<KnownPage> known_pages(const VmcoreBuilder& builder);

// Reads each of the pages from the dump.
Comparison compare(const std::vector<KnownPage>& pages, KdumpReader& dump);

}  // namespace dw::test
