// The header that guest-load writes into every page it fills and ramcheck looks for in the guest's
// RAM and in the dump. Plain data, no ownership; the guest and the host have the same byte order.
#ifndef DUMPWRIGHT_TESTS_QEMU_PAGE_TAG_H_
#define DUMPWRIGHT_TESTS_QEMU_PAGE_TAG_H_

#include <cstdint>

namespace page_tag {

constexpr uint64_t kPageSize = 4096;
// "dw-page" and a 0x01, as no compiler places it in a constant: built at run time by Magic().
constexpr uint64_t kMagicXored = 0x016567'61702d7764ull ^ 0x5a5a5a5a5a5a5a5aull;

enum Kind : uint32_t { kCacheClean, kCacheDirty, kTmpfs, kAnon, kAnonHuge, kHugetlb, kKinds };
constexpr const char* kKindNames[kKinds] = {"cache-clean", "cache-dirty", "tmpfs",
                                            "anon",        "anon-huge",   "hugetlb"};

struct Header {
  uint64_t magic;
  uint32_t kind;
  uint32_t content;
  uint64_t serial;  // Counts the pages of one kind from 0.
  uint64_t seed;    // What the rest of the page was generated from; never 0.
};

// The magic value is kept out of the executables' own pages, which would otherwise be counted.
inline uint64_t Magic() {
  volatile uint64_t value = kMagicXored;
  return value ^ 0x5a5a5a5a5a5a5a5aull;
}

}  // namespace page_tag

#endif  // DUMPWRIGHT_TESTS_QEMU_PAGE_TAG_H_
