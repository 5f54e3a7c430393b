#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "capture/kernel/layout.h"
#include "tests/golden/memmap_builder.h"

using namespace dw;
using namespace dw::golden;

namespace {

std::string text_of(const KernelEra& era) {
  KernelSpec spec;
  spec.era = &era;
  return KernelBuilder(spec).vmcoreinfo();
}

PageLayout page_layout(const std::string& text) {
  std::vector<LayoutGap> gaps;
  return find_page_layout(Vmcoreinfo(text), gaps);
}

// Appended lines lose against earlier ones, so changes go first.
std::string with(const std::string& line, const std::string& text) { return line + "\n" + text; }

}  // namespace

TEST_CASE("layout: every known kernel tells all there is") {
  for (const KernelEra* era : all_eras()) {
    CAPTURE(std::string(era->release));
    std::vector<LayoutGap> gaps;
    std::string text = text_of(*era);
    PageLayout page = find_page_layout(Vmcoreinfo(text), gaps);
    for (const LayoutGap& gap : gaps)
      CHECK(std::string(gap.key) == "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)");
    CHECK(gaps.empty() == era->offline.has_value());
    CHECK(page.struct_page_bytes == 64);
    CHECK(page.compound_head_offset == 8);
    CHECK(page.buddy_type == era->buddy);
    CHECK(page.pg_hwpoison == era->hwpoison);
    CHECK(page.free_area_length == 11);
  }
}

TEST_CASE("layout: where a compound page keeps its order") {
  CHECK(page_layout(text_of(k6_1)).order_offset == 17);
  CHECK(page_layout(text_of(k6_1)).dtor_offset == 16);
  CHECK(page_layout(text_of(k6_5)).order_offset == 17);  // told relative to the folio
  CHECK(page_layout(text_of(k6_5)).dtor_offset == 16);
  CHECK_FALSE(page_layout(text_of(k6_1)).order_in_second_flags);
  for (const KernelEra* era : {&k6_6, &k6_10, &k6_12, &k7_1}) {
    PageLayout page = page_layout(text_of(*era));
    CHECK(page.order_in_second_flags);
    CHECK_FALSE(page.order_offset.has_value());
  }
}

TEST_CASE("layout: the width of the order field is its distance from the destructor") {
  std::string base = text_of(k6_1);
  struct Case {
    const char* lines;
    unsigned width;  // 0: hugetlb cannot be told
  };
  const Case kCases[] = {{"OFFSET(page.compound_dtor)=32\nOFFSET(page.compound_order)=33", 1},
                         {"OFFSET(page.compound_dtor)=32\nOFFSET(page.compound_order)=34", 2},
                         {"OFFSET(page.compound_dtor)=32\nOFFSET(page.compound_order)=36", 4},
                         {"OFFSET(page.compound_dtor)=32\nOFFSET(page.compound_order)=40", 0},
                         {"OFFSET(page.compound_dtor)=33\nOFFSET(page.compound_order)=32", 0}};
  for (const Case& one : kCases) {
    CAPTURE(one.lines);
    PageLayout page = page_layout(with(one.lines, base));
    CHECK(page.dtor_offset.has_value() == (one.width != 0));
    if (one.width != 0) CHECK(page.order_bytes == one.width);
  }
}

TEST_CASE("layout: page types are printed as long, signed or not") {
  std::string base = text_of(k6_12);
  const char* key = "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=";
  auto type = [&](const char* value) {
    return page_layout(with(std::string(key) + value, base)).buddy_type;
  };
  CHECK(type("-268435456") == -268435456);
  CHECK(type("4026531840") == -268435456);
  CHECK(type("0xf0000000") == -268435456);
  for (const char* nonsense : {"-1", "0", "128", "4294967296", "-2147483649", "", "x", "12 "}) {
    CAPTURE(nonsense);
    CHECK_FALSE(type(nonsense).has_value());
  }
}

TEST_CASE("layout: numbers that make no sense read as absent") {
  std::string base = text_of(k6_1);
  CHECK_FALSE(page_layout(with("NUMBER(PG_lru)=64", base)).pg_lru.has_value());
  CHECK_FALSE(page_layout(with("NUMBER(PG_lru)=-1", base)).pg_lru.has_value());
  CHECK_FALSE(page_layout(with("NUMBER(PG_head_mask)=3", base)).pg_head_mask.has_value());
  CHECK_FALSE(page_layout(with("OFFSET(page.mapping)=250", base)).mapping_offset.has_value());
  CHECK_FALSE(page_layout(with("LENGTH(zone.free_area)=0", base)).free_area_length.has_value());
  CHECK_FALSE(page_layout(with("LENGTH(zone.free_area)=64", base)).free_area_length.has_value());
  for (const char* size : {"0", "8", "63", "264", "18446744073709551615"})
    CHECK(page_layout(with(std::string("SIZE(page)=") + size, base)).struct_page_bytes == 0);
}

TEST_CASE("layout: compound_info, the newer name, wins") {
  std::string text = with("OFFSET(page.compound_info)=16", text_of(k6_12));
  CHECK(page_layout(text).compound_head_offset == 16);
}

TEST_CASE("layout: translation") {
  ElfHeaders headers;
  std::vector<LayoutGap> gaps;
  std::string base = text_of(k6_12);
  auto find = [&](const std::string& text) {
    gaps.clear();
    return find_translation(Vmcoreinfo(text), headers, gaps);
  };
  CHECK(find(base).levels == 4);
  CHECK(find(base).top_table == 0x1010000);
  CHECK(find(with("NUMBER(pgtable_l5_enabled)=1", base)).levels == 5);
  CHECK(find(with("NUMBER(sme_mask)=140737488355328", base)).entry_address_mask ==
        (0x000ffffffffff000 & ~(uint64_t{1} << 47)));
  CHECK(find(with("NUMBER(sme_mask)=3", base)).entry_address_mask == 0x000ffffffffff000);
  CHECK(find(with("NUMBER(phys_base)=-16777216", base)).top_table == 0x10000);
  CHECK(find(with("NUMBER(phys_base)=-33554432", base)).levels == 0);
  CHECK(gaps.size() == 1);
  CHECK(find(with("SYMBOL(init_top_pgt)=ffff888000000000", base)).levels == 0);
  CHECK(find(with("SYMBOL(init_top_pgt)=ffffffff82000010", base)).levels == 0);
  CHECK(find("").levels == 0);
}

TEST_CASE("layout: without phys_base the kernel image's own segment tells it") {
  ElfHeaders headers;
  headers.segments.push_back({.file_offset = 4096,
                              .virtual_address = 0xffffffff81000000,
                              .physical_address = 0x3000000,
                              .file_size = 4096,
                              .memory_size = 4096});
  std::vector<LayoutGap> gaps;
  std::string text = with("NUMBER(phys_base)=nonsense", text_of(k6_12));
  CHECK(find_translation(Vmcoreinfo(text), headers, gaps).phys_base == 0x2000000);
}

TEST_CASE("layout: mem_section, extreme and static") {
  std::vector<LayoutGap> gaps;
  std::string base = text_of(k6_12);
  auto find = [&](const std::string& text, unsigned levels = 4) {
    gaps.clear();
    return find_memmap(Vmcoreinfo(text), levels, gaps);
  };
  MemmapLayout memmap = find(base);
  CHECK(memmap.usable);
  CHECK(memmap.extreme);
  CHECK(memmap.section_count == 1 << 19);
  CHECK(memmap.sections_per_root == 128);
  CHECK(memmap.section_pages_order == 15);
  CHECK_FALSE(find(with("LENGTH(mem_section)=524288", base)).extreme);
  CHECK(find(with("LENGTH(mem_section)=524288", base)).usable);
  for (const char* line :
       {"LENGTH(mem_section)=77", "SIZE(mem_section)=4", "OFFSET(mem_section.section_mem_map)=32",
        "NUMBER(SECTION_SIZE_BITS)=12", "NUMBER(SECTION_SIZE_BITS)=64",
        "NUMBER(MAX_PHYSMEM_BITS)=27", "NUMBER(MAX_PHYSMEM_BITS)=64"}) {
    CAPTURE(line);
    CHECK_FALSE(find(with(line, base)).usable);
    CHECK(gaps.size() == 1);
  }
}

// Lines of a 6.2 kernel, KASLR and 46 bits of physical address, and of one before 4.18, whose
// struct page was laid out otherwise.
TEST_CASE("layout: lines that real kernels wrote") {
  std::string fedora =
      "OSRELEASE=6.2.15-100.fc36.x86_64\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffffb7010000\n"
      "SYMBOL(mem_section)=ffff8dab5f7cd000\nLENGTH(mem_section)=4096\nSIZE(mem_section)=32\n"
      "OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n"
      "NUMBER(MAX_PHYSMEM_BITS)=46\nSIZE(page)=64\nOFFSET(page.flags)=0\n"
      "OFFSET(page._refcount)=52\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n"
      "OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_dtor)=16\n"
      "OFFSET(page.compound_order)=17\nOFFSET(page.compound_head)=8\n"
      "LENGTH(zone.free_area)=11\n";
  std::vector<LayoutGap> gaps;
  PageLayout page = find_page_layout(Vmcoreinfo(fedora), gaps);
  CHECK(page.order_offset == 17);
  CHECK(page.mapcount_offset == 48);
  MemmapLayout memmap = find_memmap(Vmcoreinfo(fedora), 4, gaps);
  CHECK(memmap.usable);
  CHECK(memmap.extreme);
  CHECK(memmap.table == 0xffff8dab5f7cd000);

  std::string older =
      "SYMBOL(mem_section)=ffff88407fff6000\nLENGTH(mem_section)=2048\nSIZE(mem_section)=16\n"
      "OFFSET(mem_section.section_mem_map)=0\nSIZE(page)=64\nOFFSET(page.flags)=0\n"
      "OFFSET(page._refcount)=28\nOFFSET(page.mapping)=8\nOFFSET(page.lru)=32\n"
      "OFFSET(page._mapcount)=24\nOFFSET(page.private)=48\nOFFSET(page.compound_dtor)=40\n"
      "OFFSET(page.compound_order)=41\nOFFSET(page.compound_head)=32\n"
      "LENGTH(zone.free_area)=11\n";
  page = find_page_layout(Vmcoreinfo(older), gaps);
  CHECK(page.compound_head_offset == 32);
  CHECK(page.order_offset == 41);
  CHECK(find_memmap(Vmcoreinfo(older), 4, gaps).extreme);
}

TEST_CASE("layout: a window holds a section and the largest free block") {
  VmcoreLayout layout;
  CHECK(window_pages(layout) == 1 << 15);
  layout.page.free_area_length = 17;
  CHECK(window_pages(layout) == 1 << 16);
  layout.page.free_area_length = 19;
  layout.memmap.usable = true;
  layout.memmap.section_pages_order = 18;
  CHECK(window_pages(layout) == 1 << 18);
}
