#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "capture/kernel/important_pages.h"
#include "capture/kernel/memmap.h"
#include "capture/kernel/translate.h"
#include "tests/golden/judged_vmcore.h"

using namespace dw;
using namespace dw::golden;

namespace {

constexpr uint64_t kVirtual = 0xffffc90000000000;
constexpr uint64_t k2M = 2 << 20;
constexpr uint64_t k1G = 1 << 30;

bool in_ranges(const ImportantPages& pages, uint64_t address) {
  for (const PfnRange& range : pages.ranges)
    if (address / kPageBytes >= range.begin && address / kPageBytes < range.end) return true;
  return false;
}

}  // namespace

TEST_CASE("translate: leaves of 4 KiB, 2 MiB and 1 GiB, with 4 and 5 levels") {
  for (bool five_levels : {false, true})
    for (uint64_t encryption : {uint64_t{0}, uint64_t{1} << 51}) {
      KernelSpec spec;
      spec.five_levels = five_levels;
      spec.sme_mask = encryption;
      KernelBuilder builder(spec);
      uint64_t base = five_levels ? 0xffa0000000000000 : kVirtual;
      builder.map(base, 0x5000, kPageBytes);
      builder.map(base + k1G, 3 * k2M, k2M);
      builder.map(base + 5 * k1G, 7 * k1G, k1G);
      JudgedVmcore judged(builder.build());
      KernelMemory memory(judged.vmcore(), judged.layout().translation);
      Result<Mapping> small = memory.translate(base + 0x123);
      REQUIRE(small.ok());
      CHECK(small->physical_address == 0x5123);
      CHECK(small->size == kPageBytes - 0x123);
      Result<Mapping> middle = memory.translate(base + k1G + 0x12345);
      REQUIRE(middle.ok());
      CHECK(middle->physical_address == 3 * k2M + 0x12345);
      Result<Mapping> large = memory.translate(base + 5 * k1G + 0x1234567);
      REQUIRE(large.ok());
      CHECK(large->physical_address == 7 * k1G + 0x1234567);
      CHECK(large->size == k1G - 0x1234567);
      for (uint64_t unmapped : {base + kPageBytes, base + 6 * k1G, uint64_t{0}, uint64_t{0x400000},
                                uint64_t{0x8000000000000000}, base - kPageBytes})
        CHECK_FALSE(memory.translate(unmapped).ok());
    }
}

TEST_CASE("translate: the kernel image needs no tables") {
  KernelSpec spec;
  spec.kaslr_offset = 0x600000;
  spec.image_physical = 0x2000000;
  KernelBuilder builder(spec);
  JudgedVmcore judged(builder.build());
  KernelMemory memory(judged.vmcore(), judged.layout().translation);
  Result<Mapping> image = memory.translate(kImageMap + 0x1000000 + 0x600000 + 0x345);
  REQUIRE(image.ok());
  CHECK(image->physical_address == 0x2000345);
}

TEST_CASE("translate: reads cross leaves that do not follow each other in memory") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  builder.map(kVirtual, 0x7000, kPageBytes);
  builder.map(kVirtual + 0x1000, 0x3000, kPageBytes);
  builder.map(kVirtual + 0x2000, 0x4000, kPageBytes);
  VmcoreBuilder& built = builder.build();
  built.store(0x7ff8, uint64_t{1}).store(0x3000, uint64_t{2}).store(0x3ff8, uint64_t{3});
  built.store(0x4000, uint64_t{4});
  JudgedVmcore judged(built);
  KernelMemory memory(judged.vmcore(), judged.layout().translation);
  std::array<uint64_t, 514> words;
  REQUIRE(memory.read(kVirtual + 0xff8, std::as_writable_bytes(std::span(words))).ok());
  CHECK(words[0] == 1);
  CHECK(words[1] == 2);
  CHECK(words[512] == 3);
  CHECK(words[513] == 4);
  CHECK_FALSE(memory.read(kVirtual + 0x2000 + 8, std::as_writable_bytes(std::span(words))).ok());
}

TEST_CASE("translate: hostile tables end in an error") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  uint64_t slot = builder.top_table() + 300 * 8;
  VmcoreBuilder& built = builder.build();
  uint64_t address = 0xffff000000000000 | uint64_t{300} << 39;
  for (uint64_t entry :
       {uint64_t{0xffffffffff063}, uint64_t{0x0008000000000063}, ~uint64_t{0}, uint64_t{0x63}}) {
    CAPTURE(entry);
    built.store(slot, entry);
    JudgedVmcore judged(built);
    KernelMemory memory(judged.vmcore(), judged.layout().translation);
    CHECK_FALSE(memory.translate(address).ok());
  }
  // A table that points at itself ends after as many steps as there are levels.
  built.store(slot, builder.top_table() | 0x63);
  JudgedVmcore judged(built);
  KernelMemory memory(judged.vmcore(), judged.layout().translation);
  uint64_t self = 0xffff000000000000 | uint64_t{300} << 39 | uint64_t{300} << 30 |
                  uint64_t{300} << 21 | uint64_t{300} << 12;
  Result<Mapping> found = memory.translate(self);
  REQUIRE(found.ok());
  CHECK(found->physical_address == builder.top_table());
}

TEST_CASE("important_pages: image, page tables and log, each once") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  builder.map(kVirtual, 0x5000, kPageBytes);
  uint64_t log = builder.allocate(64 << 10);
  builder.without_vmcoreinfo();
  VmcoreBuilder& memory = builder.build();
  memory.store(spec.image_physical + 0x40000, builder.direct_map() + log);
  memory.store(spec.image_physical + 0x40008, uint32_t{64 << 10});
  memory.add_vmcoreinfo(builder.vmcoreinfo() +
                        "SYMBOL(log_buf)=ffffffff81040000\n"
                        "SYMBOL(log_buf_len)=ffffffff81040008\n");
  JudgedVmcore judged(memory);
  ImportantPages pages = find_important_pages(judged.vmcore(), judged.layout());
  CHECK_FALSE(pages.cut);
  CHECK(pages.table_count == builder.page_tables().size());
  for (uint64_t table : builder.page_tables()) CHECK(in_ranges(pages, table));
  CHECK(in_ranges(pages, spec.image_physical));
  CHECK(in_ranges(pages, spec.image_physical + 0x1ff000));
  CHECK_FALSE(in_ranges(pages, spec.image_physical + 0x200000));
  CHECK(in_ranges(pages, log));
  CHECK(in_ranges(pages, log + (64 << 10) - 1));
  for (size_t i = 1; i < pages.ranges.size(); ++i)
    CHECK(pages.ranges[i - 1].end < pages.ranges[i].begin);
}

TEST_CASE("important_pages: the stacks that the CPUs stood on") {
  KernelBuilder builder{KernelSpec()};
  std::vector<uint64_t> pages;
  for (uint64_t i = 0; i < 6; ++i) pages.push_back(builder.allocate(3 * kPageBytes));
  for (uint64_t i = 0; i < 6; ++i)  // a hole in the stack, and what follows it
    if (i != 1) builder.map(kVirtual + i * kPageBytes, pages[i], kPageBytes);
  VmcoreBuilder& memory = builder.build();
  std::array<std::byte, 336> status{};
  uint64_t pointer = 0x7ffd00001000;  // a process's
  std::memcpy(status.data() + 264, &pointer, sizeof(pointer));
  memory.add_note("CORE", 1, status);
  pointer = kVirtual + 2 * kPageBytes + 0x123;
  std::memcpy(status.data() + 264, &pointer, sizeof(pointer));
  memory.add_note("CORE", 1, status);
  memory.add_note("CORE", 1, std::span(status).first(100));
  JudgedVmcore judged(memory);
  ImportantPages found = find_important_pages(judged.vmcore(), judged.layout());
  for (uint64_t i = 0; i < 6; ++i) CHECK(in_ranges(found, pages[i]) == (i != 1 && i < 4));
}

TEST_CASE("important_pages: a table that many neighbours share counts once") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  uint64_t shared = builder.allocate(kTableBytes);
  VmcoreBuilder& built = builder.build();
  for (uint64_t i = 400; i < 440; ++i) built.store(builder.top_table() + i * 8, shared | 0x63);
  JudgedVmcore judged(built);
  ImportantPages pages = find_important_pages(judged.vmcore(), judged.layout());
  CHECK(pages.table_count == builder.page_tables().size() + 1);
}

TEST_CASE("important_pages: a table that holds itself everywhere ends at the limit") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  VmcoreBuilder& built = builder.build();
  for (uint64_t i = 300; i < 512; ++i)
    built.store(builder.top_table() + i * 8, builder.top_table() | 0x63 | i << 52);
  JudgedVmcore judged(built);
  ImportantPages pages = find_important_pages(judged.vmcore(), judged.layout());
  CHECK(pages.cut);
  CHECK(pages.table_count == kMaxPageTables);
}

TEST_CASE("important_pages: without a layout there is still the image") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  builder.without_vmcoreinfo();
  JudgedVmcore judged(builder.build());
  ImportantPages pages = find_important_pages(judged.vmcore(), judged.layout());
  CHECK(pages.table_count == 0);
  CHECK(in_ranges(pages, spec.image_physical));
}
