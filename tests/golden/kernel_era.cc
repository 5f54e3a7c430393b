#include "tests/golden/kernel_era.h"

namespace dw::golden {

namespace {

// Before 6.12 a type is a cleared bit of all ones, from 6.12 on a number in the top byte.
constexpr int32_t bit_type(uint32_t bit) { return static_cast<int32_t>(~bit); }
constexpr int32_t byte_type(uint32_t number) { return static_cast<int32_t>(number << 24); }

constexpr KernelEra with(KernelEra era, const char* release) {
  era.release = release;
  return era;
}

constexpr KernelEra make_6_6() {
  return {.release = "6.6.0-golden",
          .lru = 5,
          .private_flag = 15,
          .swapcache = 12,
          .swapbacked = 19,
          .hwpoison = 23,
          .head = 6,
          .referenced = 2,
          .waiters = 7,
          .slab_flag = 11,
          .buddy = bit_type(0x80),
          .offline = bit_type(0x100),
          .hugetlb = {},
          .slab = {},
          .unaccepted = {},
          .page_table = bit_type(0x200),
          .hugetlb_flag = 8,
          .compound = KernelEra::Compound::kSecondFlags,
          .compound_head_key = "page.compound_head",
          .exports_section_bits = true};
}

constexpr KernelEra make_5_10() {
  KernelEra era = make_6_6();
  era.release = "5.10.0-golden";
  era.lru = 4;
  era.private_flag = 13;
  era.swapcache = 10;
  era.head = 16;
  era.referenced = 1;
  era.slab_flag = 9;
  era.hugetlb_flag.reset();
  era.compound = KernelEra::Compound::kPageFields;
  return era;
}

constexpr KernelEra make_4_19() {
  KernelEra era = make_5_10();
  era.release = "4.19.0-golden";
  era.lru = 5;
  era.private_flag = 12;
  era.swapcache = 9;
  era.swapbacked = 18;
  era.hwpoison = 22;
  era.head = 15;
  era.referenced = 2;
  era.slab_flag = 8;
  era.offline.reset();
  era.exports_section_bits = false;
  return era;
}

constexpr KernelEra make_6_5() {
  KernelEra era = with(make_5_10(), "6.5.0-golden");
  era.compound = KernelEra::Compound::kFolioFields;
  return era;
}

constexpr KernelEra make_6_10() {
  KernelEra era = with(make_6_6(), "6.10.0-golden");
  era.private_flag = 14;
  era.swapcache = 10;
  era.swapbacked = 18;
  era.hwpoison = 21;
  era.slab_flag.reset();
  era.hugetlb_flag.reset();
  era.hugetlb = bit_type(0x800);
  era.slab = bit_type(0x1000);
  return era;
}

constexpr KernelEra make_6_12() {
  KernelEra era = with(make_6_10(), "6.12.0-golden");
  era.swapbacked = 17;
  era.hwpoison = 20;
  era.buddy = byte_type(0xf0);
  era.offline = byte_type(0xf1);
  era.page_table = byte_type(0xf2);
  era.hugetlb = byte_type(0xf4);
  era.slab = byte_type(0xf5);
  return era;
}

constexpr KernelEra make_7_1() {
  KernelEra era = with(make_6_12(), "7.1.0-golden");
  era.unaccepted = byte_type(0xf7);
  era.compound_head_key = "page.compound_info";
  return era;
}

}  // namespace

const KernelEra k4_19 = make_4_19();
const KernelEra k5_10 = make_5_10();
const KernelEra k6_1 = with(make_5_10(), "6.1.0-golden");
const KernelEra k6_5 = make_6_5();
const KernelEra k6_6 = make_6_6();
const KernelEra k6_10 = make_6_10();
const KernelEra k6_12 = make_6_12();
const KernelEra k7_1 = make_7_1();

std::span<const KernelEra* const> all_eras() {
  static constexpr const KernelEra* kAll[] = {&k4_19, &k5_10, &k6_1,  &k6_5,
                                              &k6_6,  &k6_10, &k6_12, &k7_1};
  return kAll;
}

}  // namespace dw::golden
