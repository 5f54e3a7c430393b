// Every page kind, on every kernel layout. The verdicts are written by hand.
#include <doctest/doctest.h>

#include <string>

#include "tests/golden/judged_vmcore.h"

using namespace dw;
using namespace dw::golden;

namespace {

// The second section of RAM, far from what the builder keeps in the first.
constexpr uint64_t kBase = 8 * kSectionPages;

struct Expected {
  uint64_t pfn;
  PageCode code;
  unsigned left_out_by;  // any of these level bits; 32: always; 0: never
};

constexpr unsigned kAlways = 32;

bool expect_kept(const Expected& expected, unsigned level) {
  return expected.left_out_by != kAlways && (expected.left_out_by & level) == 0;
}

void check(const JudgedVmcore& judged, std::span<const Expected> all) {
  for (const Expected& expected : all) {
    CAPTURE(expected.pfn - kBase);
    CHECK(int{judged.code(expected.pfn)} == int{expected.code});
    for (unsigned level = 0; level < 32; ++level) {
      CAPTURE(level);
      CHECK(judged.kept(expected.pfn, level) == expect_kept(expected, level));
    }
  }
}

constexpr PageCode kOther = code_of(PageClass::kOther);
constexpr PageCode kSlab = code_of(PageClass::kSlab);
constexpr PageCode kFree = code_of(PageClass::kFree);
constexpr PageCode kCache = code_of(PageClass::kCache);
constexpr PageCode kCachePrivate = code_of(PageClass::kCachePrivate);
constexpr PageCode kUser = code_of(PageClass::kUser);
constexpr PageCode kHugetlb = code_of(PageClass::kHugetlb);
constexpr PageCode kHwpoison = code_of(PageClass::kHwpoison);
constexpr PageCode kOffline = code_of(PageClass::kOffline);
constexpr PageCode kUnaccepted = code_of(PageClass::kUnaccepted);

KernelBuilder kernel(const KernelEra& era) {
  KernelSpec spec;
  spec.era = &era;
  KernelBuilder builder(spec);
  builder.add_ram(kBase * kPageBytes, kSectionBytes);
  return builder;
}

}  // namespace

TEST_CASE("window_classifier: single pages of every kind") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    KernelBuilder builder = kernel(*era);
    builder.buddy(kBase + 2, 0)
        .per_cpu_list(kBase + 4)
        .cache(kBase + 5)
        .cache(kBase + 6, true)
        .swap_cache(kBase + 7)
        .swap_cache(kBase + 8, false)
        .anon(kBase + 9)
        .anon(kBase + 10, 0, false)
        .slab(kBase + 11)
        .page_table(kBase + 12)
        .cache(kBase + 13)
        .hwpoison(kBase + 13)
        .hwpoison(kBase + 14)
        .anon(kBase + 15)
        .hwpoison(kBase + 15);
    JudgedVmcore judged(builder.build());
    REQUIRE(judged.layout().usable());
    const Expected kExpected[] = {
        {kBase, kOther, 0},
        {kBase + 2, kFree, 16},
        {kBase + 4, kOther, 0},
        {kBase + 5, kCache, 2 | 4},
        {kBase + 6, kCachePrivate, 4},
        {kBase + 7, kCache, 2 | 4},
        {kBase + 8, kOther, 0},
        {kBase + 9, kUser, 8},
        {kBase + 10, kUser, 8},
        {kBase + 11, kSlab, 0},
        {kBase + 12, kOther, 0},
        {kBase + 13, kHwpoison, kAlways},
        {kBase + 14, kHwpoison, kAlways},
        {kBase + 15, kHwpoison, kAlways},
    };
    check(judged, kExpected);
  }
}

TEST_CASE("window_classifier: free blocks of every order") {
  for (const KernelEra* era : {&k4_19, &k6_1, &k6_12, &k7_1}) {
    CAPTURE(std::string(era->release));
    KernelBuilder builder = kernel(*era);
    for (unsigned order = 0; order <= 10; ++order) builder.buddy(kBase + (2u << order), order);
    builder.anon(kBase);
    JudgedVmcore judged(builder.build());
    for (unsigned order = 0; order <= 10; ++order) {
      CAPTURE(order);
      uint64_t first = kBase + (2u << order);
      const Expected kExpected[] = {{first, kFree, 16},
                                    {first + (1u << order) / 2, kFree, 16},
                                    {first + (1u << order) - 1, kFree, 16},
                                    {first + (1u << order), kOther, 0}};
      check(judged, kExpected);
    }
    // 1 + 2 + 4 + ... + 1024 pages.
    CHECK(judged.counts(31).of(PageClass::kFree) == 2047);
  }
}

TEST_CASE("window_classifier: compound pages of every size, all with their head's verdict") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    KernelBuilder builder = kernel(*era);
    for (unsigned order = 1; order <= 10; ++order) builder.anon(kBase + (2u << order), order);
    builder.slab(kBase + 0x2000, 3);
    builder.cache(kBase + 0x2010, false, 4);
    builder.cache(kBase + 0x2020, true, 4);
    builder.kernel_compound(kBase + 0x2040, 5);
    JudgedVmcore judged(builder.build());
    for (unsigned order = 1; order <= 10; ++order) {
      CAPTURE(order);
      uint64_t first = kBase + (2u << order);
      const Expected kExpected[] = {{first, kUser, 8},
                                    {first + 1, kUser, 8},
                                    {first + (1u << order) - 1, kUser, 8},
                                    {first + (1u << order), kOther, 0}};
      check(judged, kExpected);
    }
    const Expected kExpected[] = {
        {kBase + 0x2000, kSlab, 0},         {kBase + 0x2007, kSlab, 0},
        {kBase + 0x2008, kOther, 0},        {kBase + 0x2010, kCache, 2 | 4},
        {kBase + 0x201f, kCache, 2 | 4},    {kBase + 0x2020, kCachePrivate, 4},
        {kBase + 0x202f, kCachePrivate, 4}, {kBase + 0x2040, kOther, 0},
        {kBase + 0x205f, kOther, 0},        {kBase + 0x2060, kOther, 0},
    };
    check(judged, kExpected);
    // 2 + 4 + ... + 1024 pages.
    CHECK(judged.counts(31).of(PageClass::kUser) == 2046);
  }
}

TEST_CASE("window_classifier: hugetlb pages of 2 MiB, with and without vmemmap optimization") {
  for (const KernelEra* era : all_eras()) {
    for (bool optimized : {false, true}) {
      CAPTURE(std::string(era->release));
      CAPTURE(optimized);
      KernelBuilder builder = kernel(*era);
      builder.hugetlb(kBase + 512, 9, optimized);
      JudgedVmcore judged(builder.build());
      const Expected kExpected[] = {
          {kBase + 511, kOther, 0},         {kBase + 512, kHugetlb, 8},
          {kBase + 513, kHugetlb, 8},       {kBase + 512 + 64, kHugetlb, 8},
          {kBase + 512 + 256, kHugetlb, 8}, {kBase + 512 + 300, kHugetlb, 8},
          {kBase + 1023, kHugetlb, 8},      {kBase + 1024, kOther, 0},
      };
      check(judged, kExpected);
      ClassCounts counts = judged.counts(0);
      CHECK(counts.of(PageClass::kHugetlb) == 512);
      CHECK(counts.of(PageClass::kUnknown) == 0);
    }
  }
}

TEST_CASE("window_classifier: a hugetlb page of 1 GiB crosses windows") {
  for (const KernelEra* era : {&k5_10, &k6_5, &k6_6, &k7_1}) {
    for (bool optimized : {false, true}) {
      CAPTURE(std::string(era->release));
      CAPTURE(optimized);
      KernelSpec spec;
      spec.era = era;
      KernelBuilder builder(spec);
      constexpr uint64_t kGiant = uint64_t{1} << 18;
      builder.add_ram(kGiant * kPageBytes, (uint64_t{1} << 30) + kSectionBytes);
      builder.hugetlb(kGiant, 18, optimized);
      JudgedVmcore judged(builder.build());
      REQUIRE(window_pages(judged.layout()) == kSectionPages);
      for (uint64_t at : {uint64_t{0}, uint64_t{1}, uint64_t{256}, kSectionPages,
                          kSectionPages + 64, 3 * kSectionPages + 77, kGiant - 1}) {
        CAPTURE(at);
        CHECK(int{judged.code(kGiant + at)} == int{kHugetlb});
        CHECK(judged.kept(kGiant + at, 23));
        CHECK_FALSE(judged.kept(kGiant + at, 8));
      }
      CHECK(judged.kept(2 * kGiant, 31));
      CHECK(judged.counts(8).of(PageClass::kHugetlb) == kGiant);
    }
  }
}

TEST_CASE("window_classifier: poisoned heads, tails and free pages are never read") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    KernelBuilder builder = kernel(*era);
    // A poisoned head takes its whole page with it: a hugetlb page has only that one flag.
    builder.hugetlb(kBase + 512, 9).hwpoison(kBase + 512);
    builder.anon(kBase + 1024, 9).hwpoison(kBase + 1024 + 300);
    builder.slab(kBase + 2048, 2).hwpoison(kBase + 2050);
    builder.buddy(kBase + 4096, 10).hwpoison(kBase + 4096).hwpoison(kBase + 4096 + 700);
    JudgedVmcore judged(builder.build());
    const Expected kExpected[] = {
        {kBase + 512, kHwpoison, kAlways},
        {kBase + 513, kHwpoison, kAlways},
        {kBase + 1023, kHwpoison, kAlways},
        {kBase + 1024, kUser, 8},
        {kBase + 1024 + 299, kUser, 8},
        {kBase + 1024 + 300, kHwpoison, kAlways},
        {kBase + 2049, kSlab, 0},
        {kBase + 2050, kHwpoison, kAlways},
        {kBase + 4096, kHwpoison, kAlways},
        {kBase + 4097, kFree, 16},
        {kBase + 4096 + 700, kHwpoison, kAlways},
        {kBase + 4096 + 701, kFree, 16},
    };
    check(judged, kExpected);
    for (unsigned level : {0u, 1u, 31u})
      CHECK(judged.counts(level).of(PageClass::kHwpoison) == 516);
  }
}

TEST_CASE("window_classifier: offline pages are never read") {
  for (const KernelEra* era : all_eras()) {
    if (!era->offline) continue;
    CAPTURE(std::string(era->release));
    KernelBuilder builder = kernel(*era);
    for (uint64_t i = 0; i < 512; ++i) builder.offline(kBase + 512 + i);
    JudgedVmcore judged(builder.build());
    const Expected kExpected[] = {{kBase + 511, kOther, 0},
                                  {kBase + 512, kOffline, kAlways},
                                  {kBase + 1023, kOffline, kAlways},
                                  {kBase + 1024, kOther, 0}};
    check(judged, kExpected);
  }
}

TEST_CASE("window_classifier: unaccepted blocks of the largest order are never read") {
  KernelBuilder builder = kernel(k7_1);
  builder.unaccepted(kBase + 1024);
  builder.unaccepted(kBase + 4096 + 3);  // not aligned: only this page is sure
  JudgedVmcore judged(builder.build());
  const Expected kExpected[] = {{kBase + 1023, kOther, 0},
                                {kBase + 1024, kUnaccepted, kAlways},
                                {kBase + 1025, kUnaccepted, kAlways},
                                {kBase + 2047, kUnaccepted, kAlways},
                                {kBase + 2048, kOther, 0},
                                {kBase + 4096 + 3, kUnaccepted, kAlways},
                                {kBase + 4096 + 4, kOther, 0}};
  check(judged, kExpected);
}

TEST_CASE("window_classifier: PG_waiters, bit 7, is not taken for the old PG_slab") {
  KernelBuilder builder = kernel(k6_12);
  builder.anon(kBase + 1).add_flag(kBase + 1, 7);
  JudgedVmcore judged(builder.build());
  const Expected kExpected[] = {{kBase + 1, kUser, 8}};
  check(judged, kExpected);
}
