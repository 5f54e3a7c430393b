// VMCOREINFO as Debian's kernels wrote it in a crash (tests/golden/vmcoreinfo/): nothing is
// missing.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "capture/kernel/layout.h"
#include "filters/page_rules.h"

using namespace dw;

namespace {

std::string text_of(const char* name) {
  std::ifstream file(std::string(DUMPWRIGHT_TESTS "/golden/vmcoreinfo/") + name);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Found {
  explicit Found(const char* name) : text(text_of(name)), info(text) {
    page = find_page_layout(info, gaps);
    translation = find_translation(info, ElfHeaders{}, gaps);
    memmap = find_memmap(info, translation.levels, gaps);
    CHECK(gaps.empty());
    CHECK(memmap.usable);
    CHECK(memmap.extreme);
    CHECK(PageRules(page, 31).undecidable_bits() == 0);
  }
  std::string text;
  Vmcoreinfo info;
  std::vector<LayoutGap> gaps;
  PageLayout page;
  TranslationLayout translation;
  MemmapLayout memmap;
};

}  // namespace

TEST_CASE("layout: Debian 5.10") {
  Found found("5.10.0-43-cloud-amd64.txt");
  CHECK(found.page.pg_slab == 9);
  CHECK(found.page.order_offset == 17);
  CHECK(found.page.hugetlb_dtor == 2);
  CHECK(found.page.buddy_type == -129);
  CHECK(found.page.offline_type == -257);
  CHECK_FALSE(found.page.unaccepted_type.has_value());
}

TEST_CASE("layout: Debian 6.12") {
  Found found("6.12.117+deb13-cloud-amd64.txt");
  CHECK_FALSE(found.page.pg_slab.has_value());
  CHECK(found.page.order_in_second_flags);
  CHECK(found.page.slab_type == static_cast<int32_t>(0xf5000000));
  CHECK(found.page.hugetlb_type == static_cast<int32_t>(0xf4000000));
  CHECK(found.page.buddy_type == static_cast<int32_t>(0xf0000000));
  CHECK(found.translation.levels == 5);
  CHECK(found.memmap.section_count == 1 << 25);
}

TEST_CASE("layout: Debian 7.2") {
  Found found("7.2.13+deb14-cloud-amd64.txt");
  CHECK(found.page.compound_head_offset == 8);
  CHECK(found.page.unaccepted_type == static_cast<int32_t>(0xf7000000));
  CHECK(found.page.pg_hwpoison == 21);
  CHECK(found.translation.levels == 5);
  CHECK(found.translation.top_table == 0xffffffff9362a000 - 0xffffffff80000000 + 54525952);
}
