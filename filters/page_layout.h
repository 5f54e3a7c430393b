// What a struct page of the crashed kernel looks like, as far as the filters need to know.
//
// Filled by capture/kernel/layout.cc from VMCOREINFO (kernel/vmcore_info.c). An absent value is one
// that the kernel did not tell, or that made no sense; which classes then cannot be told is
// decided in page_rules.cc. Plain data.
#pragma once

#include <cstdint>
#include <optional>

namespace dw {

// Page flags are told by bit number. All of them fit into 32 bits; above are zone and node.
inline constexpr unsigned kMaxFlagBit = 31;
// The largest compound page: a 1 GiB hugetlb page of 4 KiB pages.
inline constexpr unsigned kMaxCompoundOrder = 18;
inline constexpr unsigned kMinStructPageBytes = 32;
inline constexpr unsigned kMaxStructPageBytes = 256;

struct PageLayout {
  uint16_t struct_page_bytes = 0;  // SIZE(page); 0: unknown

  // Offsets in bytes within struct page.
  std::optional<uint16_t> flags_offset;
  std::optional<uint16_t> mapping_offset;
  std::optional<uint16_t> mapcount_offset;
  std::optional<uint16_t> private_offset;
  // page.compound_head, from 7.1 page.compound_info. Bit 0 marks a tail page in both.
  std::optional<uint16_t> compound_head_offset;

  // Bit numbers in page.flags.
  std::optional<uint8_t> pg_lru;
  std::optional<uint8_t> pg_private;
  std::optional<uint8_t> pg_swapcache;
  std::optional<uint8_t> pg_swapbacked;
  std::optional<uint8_t> pg_slab;      // gone with 6.10: kernel commit 46df8e73a4a3
  std::optional<uint8_t> pg_hwpoison;  // absent without CONFIG_MEMORY_FAILURE
  std::optional<uint64_t> pg_head_mask;

  // Page types: values of page._mapcount, as the kernel prints them (%ld, taken as int32). All are
  // below -1, which is what sets them apart from a count.
  std::optional<int32_t> buddy_type;
  std::optional<int32_t> slab_type;        // from 6.10
  std::optional<int32_t> hugetlb_type;     // from 6.9: kernel commit d99e3140a4d3
  std::optional<int32_t> offline_type;     // from 5.1
  std::optional<int32_t> unaccepted_type;  // from 6.16, with CONFIG_UNACCEPTED_MEMORY

  // How a compound page tells its order and that it is hugetlb; both stand in its second struct
  // page. From 6.6 the order is the low byte of its flags (kernel commit ebc1baf5c9b4).
  bool order_in_second_flags = false;
  std::optional<uint8_t> pg_hugetlb;     // bit in the second page's flags, 6.6 to 6.8
  std::optional<uint16_t> order_offset;  // in the second struct page, before 6.6
  std::optional<uint16_t> dtor_offset;   // the same
  uint8_t order_bytes = 1;               // width of both fields: 1, 2 or 4
  std::optional<uint32_t> hugetlb_dtor;  // the destructor number of hugetlb pages

  // LENGTH(zone.free_area): orders below it are possible for free blocks.
  std::optional<uint8_t> free_area_length;
};

}  // namespace dw
