// The same pages behind every way to find the memmap, and behind damaged ones.
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "tests/golden/judged_vmcore.h"

using namespace dw;
using namespace dw::golden;

namespace {

constexpr uint64_t kBase = 8 * kSectionPages;

constexpr PageCode kUser = code_of(PageClass::kUser);
constexpr PageCode kFree = code_of(PageClass::kFree);
constexpr PageCode kOther = code_of(PageClass::kOther);

KernelBuilder kernel(const KernelSpec& spec) {
  KernelBuilder builder(spec);
  builder.add_ram(kBase * kPageBytes, kSectionBytes);
  builder.anon(kBase + 1).buddy(kBase + 1024, 10).hugetlb(kBase + 512, 9).slab(kBase + 4, 1);
  return builder;
}

void expect_told(const JudgedVmcore& judged) {
  REQUIRE(judged.layout().usable());
  CHECK(int{judged.code(kBase)} == int{kOther});
  CHECK(int{judged.code(kBase + 1)} == int{kUser});
  CHECK(int{judged.code(kBase + 5)} == int{code_of(PageClass::kSlab)});
  CHECK(int{judged.code(kBase + 1023)} == int{code_of(PageClass::kHugetlb)});
  CHECK(int{judged.code(kBase + 2047)} == int{kFree});
  CHECK(judged.counts(31).of(PageClass::kUnknown) == 0);
}

// Everything is kept, and counted under `reason`.
void expect_all_kept(const JudgedVmcore& judged, UnknownReason reason) {
  for (unsigned level : {0u, 1u, 31u}) {
    ClassCounts counts = judged.counts(level);
    CHECK(counts.kept == judged.vmcore().memory().page_count());
    CHECK(counts.of(reason) == counts.kept);
    CHECK(counts.total() == counts.kept);
  }
}

}  // namespace

TEST_CASE("window_classifier: every way to find the memmap") {
  for (const KernelEra* era : {&k4_19, &k7_1})
    for (bool five_levels : {false, true})
      for (bool extreme : {false, true})
        for (bool vmemmap : {false, true})
          for (bool by_pointer : {false, true}) {
            if (by_pointer && !extreme) continue;
            CAPTURE(std::string(era->release));
            CAPTURE(five_levels);
            CAPTURE(extreme);
            CAPTURE(vmemmap);
            CAPTURE(by_pointer);
            KernelSpec spec;
            spec.era = era;
            spec.five_levels = five_levels;
            spec.extreme = extreme;
            spec.vmemmap = vmemmap;
            spec.table_by_pointer = by_pointer;
            expect_told(JudgedVmcore(kernel(spec).build()));
          }
}

TEST_CASE("window_classifier: KASLR moves the image in virtual and physical memory apart") {
  for (uint64_t kaslr : {uint64_t{0}, uint64_t{0x1c600000}})
    for (uint64_t physical : {uint64_t{0x800000}, uint64_t{0x1800000}}) {
      CAPTURE(kaslr);
      CAPTURE(physical);
      KernelSpec spec;
      spec.kaslr_offset = kaslr;
      spec.image_physical = physical;
      expect_told(JudgedVmcore(kernel(spec).build()));
    }
}

TEST_CASE("window_classifier: the memory encryption bit is no part of an address") {
  for (unsigned bit : {47u, 51u}) {
    KernelSpec spec;
    spec.sme_mask = uint64_t{1} << bit;
    expect_told(JudgedVmcore(kernel(spec).build()));
  }
}

TEST_CASE("window_classifier: small vmemmap pages and other sizes of struct page") {
  for (uint64_t bytes : {56, 64, 80, 96}) {
    CAPTURE(bytes);
    KernelSpec spec;
    spec.small_vmemmap_pages = true;
    spec.struct_page_bytes = bytes;
    expect_told(JudgedVmcore(kernel(spec).build()));
  }
}

TEST_CASE("window_classifier: mapped and read give the same") {
  KernelSpec spec;
  VmcoreBuilder memory = kernel(spec).build();
  expect_told(JudgedVmcore(memory, ReadMethod::kMap));
  expect_told(JudgedVmcore(memory, ReadMethod::kRead));
}

TEST_CASE("window_classifier: chunk by chunk, in any order, gives what the window gives") {
  KernelSpec spec;
  spec.era = &k7_1;
  KernelBuilder builder(spec);
  constexpr uint64_t kGiant = uint64_t{1} << 18;
  builder.add_ram(kGiant * kPageBytes, (uint64_t{1} << 30) + kSectionBytes);
  builder.hugetlb(kGiant, 18, true).hwpoison(kGiant + 5000);
  uint64_t base = 2 * kGiant;
  for (unsigned order = 0; order <= 10; ++order) {
    builder.buddy(base + (2u << order), order);
    builder.anon(base + 0x1000 + (2u << order), order);
  }
  builder.unaccepted(base + 0x4000).hugetlb(base + 0x4800, 9, true);
  JudgedVmcore judged(builder.build());
  for (unsigned level : {0u, 8u, 16u, 31u}) {
    CAPTURE(level);
    ClassCounts by_window, by_chunk, backwards;
    std::vector<uint64_t> verdict = judged.verdict(level, kSectionPages, by_window);
    CHECK(judged.verdict(level, kChunkPages, by_chunk) == verdict);
    CHECK(by_chunk == by_window);
    WindowClassifier judge = judged.classifier(level);
    std::vector<uint64_t> again(verdict.size());
    for (uint64_t pfn = verdict.size() * 64; pfn != 0; pfn -= kChunkPages)
      judge.classify(pfn - kChunkPages, kChunkPages,
                     std::span(again).subspan((pfn - kChunkPages) / 64, kChunkPages / 64),
                     backwards);
    CHECK(again == verdict);
    CHECK(backwards == by_window);
  }
}

TEST_CASE("window_classifier: pages outside the vmcore are neither counted nor kept") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  builder.add_ram(kBase * kPageBytes, 100 * kPageBytes);
  builder.add_ram((kBase + 300) * kPageBytes + 512, 3 * kPageBytes);  // four page frames, two cut
  JudgedVmcore judged(builder.build());
  ClassCounts counts;
  WindowClassifier judge = judged.classifier(31);
  std::vector<uint64_t> verdict(kSectionPages / 64);
  judge.classify(kBase, kSectionPages, verdict, counts);
  CHECK(counts.total() == 104);
  CHECK(counts.kept == 104);
  CHECK(verdict[0] == ~uint64_t{0});
  CHECK(verdict[1] == (uint64_t{1} << 36) - 1);
  CHECK(verdict[4] == uint64_t{0xf} << 44);
  for (size_t word : {2u, 3u, 5u, 100u}) CHECK(verdict[word] == 0);
}

TEST_CASE("window_classifier: RAM above the last section and NUMA nodes far apart") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  constexpr uint64_t kNode1 = uint64_t{1} << 28;  // pfn: 1 TiB
  builder.add_ram(kNode1 * kPageBytes, kSectionBytes).anon(kNode1 + 7).buddy(kNode1 + 1024, 10);
  JudgedVmcore judged(builder.build());
  CHECK(int{judged.code(kNode1 + 7)} == int{kUser});
  CHECK(int{judged.code(kNode1 + 1024 + 999)} == int{kFree});
  CHECK(judged.counts(31).of(PageClass::kFree) == 1024);
}

TEST_CASE("window_classifier: sections without a memmap of their own are kept") {
  struct Case {
    SectionState state;
    UnknownReason reason;
  };
  const Case kCases[] = {{SectionState::kHotRemoved, UnknownReason::kNoMemmap},
                         {SectionState::kNoRoot, UnknownReason::kNoMemmap},
                         {SectionState::kOffline, UnknownReason::kSectionOffline},
                         {SectionState::kNoMemmapMapping, UnknownReason::kMemmapUnreadable}};
  // Far enough for a root of its own.
  constexpr uint64_t kFar = 1000 * kSectionPages;
  for (const Case& one : kCases) {
    CAPTURE(name_of(one.reason));
    KernelSpec spec;
    KernelBuilder builder = kernel(spec);
    builder.add_ram(kFar * kPageBytes, kSectionBytes).set_section(1000, one.state);
    builder.buddy(kFar, 10).anon(kFar + 4000);
    JudgedVmcore judged(builder.build());
    CHECK(judged.code(kFar) == code_of(one.reason));
    CHECK(judged.kept(kFar, 31));
    CHECK(judged.kept(kFar + 4000, 31));
    CHECK(judged.counts(31).of(one.reason) == kSectionPages);
    CHECK(int{judged.code(kBase + 1)} == int{kUser});
  }
}

TEST_CASE("window_classifier: a section never brought online says nothing but hwpoison") {
  KernelSpec spec;
  KernelBuilder builder = kernel(spec);
  builder.set_section(8, SectionState::kOffline);
  builder.hwpoison(kBase + 3).fill_struct_page(kBase + 6, 0xff);
  JudgedVmcore judged(builder.build());
  CHECK(judged.kept(kBase + 1, 31));
  CHECK(judged.kept(kBase + 1024, 31));
  CHECK(judged.kept(kBase + 6, 31));
  CHECK_FALSE(judged.kept(kBase + 3, 0));
}

TEST_CASE("window_classifier: unreadable pages of the memmap cost the pages they describe") {
  KernelSpec spec;
  spec.small_vmemmap_pages = true;
  KernelBuilder builder = kernel(spec);
  for (uint64_t i = 0; i < 512; ++i) builder.anon(kBase + 4096 + i);
  VmcoreBuilder& memory = builder.build();
  // A hole in the vmcore where the second page of these struct pages is: their mapping points
  // beyond the end of RAM.
  uint64_t hole = builder.virtual_struct_page(kBase + 4096 + 64);
  builder.map(hole, uint64_t{1} << 45, kPageBytes);
  JudgedVmcore judged(memory);
  CHECK(int{judged.code(kBase + 4096 + 63)} == int{kUser});
  CHECK(judged.code(kBase + 4096 + 64) == code_of(UnknownReason::kMemmapUnreadable));
  CHECK(judged.code(kBase + 4096 + 127) == code_of(UnknownReason::kMemmapUnreadable));
  CHECK(int{judged.code(kBase + 4096 + 128)} == int{kUser});
  ClassCounts counts = judged.counts(31);
  CHECK(counts.of(UnknownReason::kMemmapUnreadable) == 64);
  CHECK(counts.of(PageClass::kUser) == 512 - 64 + 1);
}

// A file cut after it was opened raises SIGBUS where it is mapped, and ends early where it is read.
TEST_CASE("window_classifier: memory that cannot be had costs the pages it describes") {
  for (ReadMethod method : {ReadMethod::kMap, ReadMethod::kRead}) {
    KernelSpec spec;
    KernelBuilder builder = kernel(spec);
    for (uint64_t i = 0; i < 512; ++i) builder.anon(kBase + 4096 + i);
    VmcoreBuilder& memory = builder.build();
    JudgedVmcore judged(memory, method);
    uint64_t cut = builder.struct_page_address(kBase + 4096 + 128);
    uint64_t file_size = memory.file_offset_of_segment(1) + cut - 0x1000;
    REQUIRE(::ftruncate(judged.fd(), static_cast<off_t>(file_size)) == 0);
    CHECK(int{judged.code(kBase + 4096 + 127)} == int{kUser});
    CHECK(judged.code(kBase + 4096 + 128) == code_of(UnknownReason::kMemmapUnreadable));
    ClassCounts counts = judged.counts(31);
    CHECK(counts.of(UnknownReason::kMemmapUnreadable) == kSectionPages - 4096 - 128);
    CHECK(counts.of(PageClass::kUser) == 128 + 1);
    CHECK(judged.kept(kBase + kSectionPages - 1, 31));
  }
}

TEST_CASE("window_classifier: orders that make no sense keep their pages") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    KernelSpec spec;
    spec.era = era;
    KernelBuilder builder(spec);
    builder.add_ram(kBase * kPageBytes, kSectionBytes);
    builder.buddy(kBase + 2048, 0).set(kBase + 2048, kPrivateAt, uint64_t{11});
    builder.buddy(kBase + 2052, 0).set(kBase + 2052, kPrivateAt, ~uint64_t{0});
    builder.buddy(kBase + 2057, 0).set(kBase + 2057, kPrivateAt, uint64_t{1});
    builder.anon(kBase + 3000).add_flag(kBase + 3000, era->head);  // order 0
    builder.anon(kBase + 3004, 2);
    builder.anon(kBase + 3012).add_flag(kBase + 3012, era->head);
    if (era->compound == KernelEra::Compound::kSecondFlags)
      builder.set(kBase + 3013, kFlagsAt, uint64_t{60});
    else
      builder.set(kBase + 3013, kOrderAt, uint8_t{60});
    builder.set(kBase + 3100, kCompoundHeadAt, uint64_t{0xffffea0000000001});  // a tail alone
    JudgedVmcore judged(builder.build());
    for (uint64_t pfn : {2048, 2052, 2057, 3000, 3012}) {
      CAPTURE(pfn);
      CHECK(judged.code(kBase + pfn) == code_of(UnknownReason::kBadOrder));
      for (unsigned level = 0; level < 32; ++level) CHECK(judged.kept(kBase + pfn, level));
    }
    CHECK(judged.code(kBase + 3100) == code_of(UnknownReason::kTailWithoutHead));
    CHECK(judged.kept(kBase + 3100, 31));
    CHECK(int{judged.code(kBase + 3007)} == int{kUser});
    CHECK(judged.counts(31).of(UnknownReason::kBadOrder) == 5);
  }
}

TEST_CASE("window_classifier: a compound page that does not fit its place is no compound page") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    KernelSpec spec;
    spec.era = era;
    KernelBuilder builder(spec);
    builder.add_ram(kBase * kPageBytes, kSectionBytes);
    builder.anon(kBase + 4096 + 2, 2);
    JudgedVmcore judged(builder.build());
    CHECK(judged.code(kBase + 4096 + 2) == code_of(UnknownReason::kBadOrder));
    CHECK(judged.code(kBase + 4096 + 3) == code_of(UnknownReason::kTailWithoutHead));
    CHECK(judged.counts(31).kept == judged.vmcore().memory().page_count());
  }
}

TEST_CASE("window_classifier: a chunk whose first page is no tail belongs to no earlier head") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  builder.add_ram(kBase * kPageBytes, kSectionBytes);
  builder.anon(kBase + 1024, 10);
  builder.cache(kBase + 1024 + 512);
  JudgedVmcore judged(builder.build());
  CHECK(int{judged.code(kBase + 1024 + 511)} == int{kUser});
  CHECK(int{judged.code(kBase + 1024 + 512)} == int{code_of(PageClass::kCache)});
  CHECK(judged.code(kBase + 1024 + 513) == code_of(UnknownReason::kTailWithoutHead));
  CHECK(int{judged.code(kBase + 1024 + 768)} == int{kUser});
}

TEST_CASE("window_classifier: a section needs both marks to have a memmap") {
  for (uint64_t flags : {1 | 4, 2 | 4, 0}) {
    CAPTURE(flags);
    KernelSpec spec;
    KernelBuilder builder = kernel(spec);
    VmcoreBuilder& memory = builder.build();
    memory.store(builder.section_entry_address(8), builder.vmemmap_base() | flags);
    JudgedVmcore judged(memory);
    REQUIRE(judged.layout().usable());
    CHECK(judged.code(kBase + 1) == code_of(UnknownReason::kNoMemmap));
    CHECK(judged.counts(31).of(UnknownReason::kNoMemmap) == kSectionPages);
  }
}

TEST_CASE("window_classifier: flags that newer kernels add to a section are no address") {
  for (uint64_t flags : {15 | 16, 15 | 32, 15 | 64, 15 | 128}) {
    CAPTURE(flags);
    KernelSpec spec;
    KernelBuilder builder = kernel(spec);
    VmcoreBuilder& memory = builder.build();
    memory.store(builder.section_entry_address(8), builder.vmemmap_base() | flags);
    expect_told(JudgedVmcore(memory));
  }
}

TEST_CASE("window_classifier: without VMCOREINFO everything is kept") {
  KernelSpec spec;
  KernelBuilder builder = kernel(spec);
  builder.without_vmcoreinfo();
  JudgedVmcore judged(builder.build());
  CHECK_FALSE(judged.layout().usable());
  REQUIRE(judged.layout().gaps.size() == 1);
  expect_all_kept(judged, UnknownReason::kNoLayout);
}

TEST_CASE("window_classifier: without a key that all depends on, everything is kept") {
  for (const char* key :
       {"SIZE(page)", "OFFSET(page.flags)", "OFFSET(page.compound_head)", "SYMBOL(mem_section)",
        "SIZE(mem_section)", "OFFSET(mem_section.section_mem_map)"}) {
    CAPTURE(key);
    KernelSpec spec;
    KernelBuilder builder = kernel(spec);
    builder.drop_key(key);
    JudgedVmcore judged(builder.build());
    CHECK_FALSE(judged.layout().gaps.empty());
    expect_all_kept(judged, UnknownReason::kNoLayout);
  }
}

TEST_CASE("window_classifier: a missing key costs its class, not the others") {
  struct Case {
    const char* key;
    bool user, free, cache;  // still told
  };
  const Case kCases[] = {{"OFFSET(page.mapping)", false, true, false},
                         {"OFFSET(page._mapcount)", true, false, true},
                         {"OFFSET(page.private)", true, false, true},
                         {"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", true, false, true},
                         {"LENGTH(zone.free_area)", true, false, true},
                         {"NUMBER(PG_lru)", true, true, false},
                         {"NUMBER(PG_slab)", false, true, true},
                         {"NUMBER(PG_swapbacked)", true, true, true},
                         {"NUMBER(HUGETLB_PAGE_DTOR)", true, true, true}};
  for (const Case& one : kCases) {
    CAPTURE(one.key);
    KernelSpec spec;
    spec.era = &k6_1;
    KernelBuilder builder = kernel(spec);
    builder.cache(kBase + 8).drop_key(one.key);
    JudgedVmcore judged(builder.build());
    REQUIRE(judged.layout().usable());
    CHECK_FALSE(judged.layout().gaps.empty());
    CHECK(judged.kept(kBase + 1, 31) == !one.user);
    CHECK(judged.kept(kBase + 1024, 31) == !one.free);
    CHECK(judged.kept(kBase + 8, 31) == !one.cache);
    ClassCounts counts = judged.counts(31);
    CHECK(counts.of(UnknownReason::kMissingKey) > 0);
    CHECK(judged.counts(1).of(UnknownReason::kMissingKey) == 0);
  }
}

TEST_CASE("window_classifier: without a page table everything is kept") {
  KernelSpec spec;
  KernelBuilder builder = kernel(spec);
  VmcoreBuilder& memory = builder.build();
  memory.fill(builder.top_table(), kPageBytes, 0);
  JudgedVmcore judged(memory);
  expect_all_kept(judged, UnknownReason::kNoLayout);
}
