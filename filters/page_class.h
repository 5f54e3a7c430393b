// What a page is, and which kinds a dump of a given level leaves out.
//
// Plain values and pure functions; no state. This folder includes nothing but the standard library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dw {

enum class PageClass : uint8_t {
  kOther,  // the kernel's own, and all that is not named below
  kSlab,
  kFree,          // in the buddy allocator
  kCache,         // page cache or swap cache, without private data
  kCachePrivate,  // the same with private data (PG_private), such as buffer heads
  kUser,          // anonymous memory
  kHugetlb,       // hugetlbfs; belongs to the user pages
  kZero,          // nothing but zero bytes; found while copying, never by the filters here
  kHwpoison,      // never read: it may raise a machine check
  kOffline,       // never read: taken back by a hypervisor (balloon, virtio-mem)
  kUnaccepted,    // never read: not yet accepted from the hypervisor (TDX, SEV-SNP)
  kUnknown,       // not decided, so kept
};
inline constexpr size_t kPageClassCount = 12;

// Why a page is kUnknown. Such pages are kept.
enum class UnknownReason : uint8_t {
  kNoLayout,          // VMCOREINFO does not say what a struct page is
  kMissingKey,        // a class asked for cannot be told without a key that is missing
  kNoMemmap,          // the section has no memmap: hot-removed, or a hole
  kSectionOffline,    // the section has a memmap, but was never brought online
  kMemmapUnreadable,  // the memmap cannot be translated or read
  kBadOrder,          // a free block or compound page whose order makes no sense
  kTailWithoutHead,   // part of a compound page whose head was not found
};
inline constexpr size_t kUnknownReasonCount = 7;

// The bits of a dump level, as in makedumpfile(8).
enum DumpLevelBit : unsigned {
  kLeaveOutZero = 1,
  kLeaveOutCache = 2,
  kLeaveOutCachePrivate = 4,  // cache pages with and without private data
  kLeaveOutUser = 8,
  kLeaveOutFree = 16,
};
inline constexpr unsigned kMaxDumpLevel = 31;

// The level bits of which any one leaves pages of this class out.
[[nodiscard]] constexpr unsigned level_bits_of(PageClass page_class) {
  switch (page_class) {
    case PageClass::kFree:
      return kLeaveOutFree;
    case PageClass::kCache:
      return kLeaveOutCache | kLeaveOutCachePrivate;
    case PageClass::kCachePrivate:
      return kLeaveOutCachePrivate;
    case PageClass::kUser:
    case PageClass::kHugetlb:
      return kLeaveOutUser;
    case PageClass::kZero:
      return kLeaveOutZero;
    default:
      return 0;
  }
}

// Whether reading the page is forbidden at every level.
[[nodiscard]] constexpr bool is_never_read(PageClass page_class) {
  return page_class == PageClass::kHwpoison || page_class == PageClass::kOffline ||
         page_class == PageClass::kUnaccepted;
}

[[nodiscard]] constexpr bool is_dumped(PageClass page_class, unsigned dump_level) {
  return !is_never_read(page_class) && (level_bits_of(page_class) & dump_level) == 0;
}

// Short English names, for reports: "cache", "the order of a block makes no sense".
[[nodiscard]] const char* name_of(PageClass page_class);
[[nodiscard]] const char* name_of(UnknownReason reason);

// A class, or kUnknown with its reason, in one byte.
using PageCode = uint8_t;

[[nodiscard]] constexpr PageCode code_of(PageClass page_class) {
  return static_cast<PageCode>(page_class);
}
[[nodiscard]] constexpr PageCode code_of(UnknownReason reason) {
  return static_cast<PageCode>(kPageClassCount + static_cast<size_t>(reason));
}
inline constexpr size_t kPageCodeCount = kPageClassCount + kUnknownReasonCount;

[[nodiscard]] constexpr PageClass class_of(PageCode code) {
  return code < kPageClassCount ? static_cast<PageClass>(code) : PageClass::kUnknown;
}

}  // namespace dw
