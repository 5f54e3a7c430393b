// What kernels of different times say of struct page, for synthetic vmcores: numbers and offsets of
// a CONFIG_MEMORY_FAILURE, 64-byte struct page x86_64 build.
//
// Source: include/linux/page-flags.h and mm_types.h of the named kernel. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace dw::golden {

struct KernelEra {
  const char* release;
  unsigned lru, private_flag, swapcache, swapbacked, hwpoison, head, referenced, waiters;
  std::optional<unsigned> slab_flag;
  int32_t buddy;
  std::optional<int32_t> offline, hugetlb, slab, unaccepted;
  int32_t page_table;                    // not exported
  std::optional<unsigned> hugetlb_flag;  // in the second page's flags
  // Where the order and the destructor are told.
  enum class Compound { kPageFields, kFolioFields, kSecondFlags } compound;
  const char* compound_head_key;
  bool exports_section_bits;
};

extern const KernelEra k4_19;
extern const KernelEra k5_10;
extern const KernelEra k6_1;
extern const KernelEra k6_5;
extern const KernelEra k6_6;
extern const KernelEra k6_10;
extern const KernelEra k6_12;
extern const KernelEra k7_1;

[[nodiscard]] std::span<const KernelEra* const> all_eras();

// Offsets that all of them share.
inline constexpr unsigned kFlagsAt = 0;
inline constexpr unsigned kCompoundHeadAt = 8;
inline constexpr unsigned kDtorAt = 16;  // in the second struct page
inline constexpr unsigned kOrderAt = 17;
inline constexpr unsigned kMappingAt = 24;
inline constexpr unsigned kPrivateAt = 40;
inline constexpr unsigned kMapcountAt = 48;
inline constexpr unsigned kRefcountAt = 52;
inline constexpr unsigned kHugetlbDtor = 2;

}  // namespace dw::golden
