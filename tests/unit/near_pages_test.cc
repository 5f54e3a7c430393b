#include "capture/kernel/near_pages.h"

#include <doctest/doctest.h>

#include <map>
#include <utility>
#include <vector>

#include "capture/plan/pass_one.h"
#include "tests/golden/judged_vmcore.h"

using namespace dw;
using namespace dw::golden;

namespace {

constexpr uint64_t kVmalloc = 0xffffc90000000000;
constexpr uint64_t kData = 0x100000;                              // in the image, which has 2 MiB
constexpr uint64_t kDataAddress = kImageMap + 0x1000000 + kData;  // without KASLR

// The least distance of each page frame.
std::map<uint64_t, unsigned> find_near(const VmcoreBuilder& memory) {
  JudgedVmcore judged(memory);
  NearPages near_pages = std::move(NearPages::create().value());
  std::map<uint64_t, unsigned> found;
  unsigned last = 1;
  near_pages.find(judged.vmcore(), judged.layout(), [&](uint64_t pfn, unsigned distance) {
    CHECK(distance >= last);
    last = distance;
    found.emplace(pfn, distance);
  });
  return found;
}

unsigned distance_of(const std::map<uint64_t, unsigned>& found, uint64_t address) {
  auto page = found.find(address / kPageBytes);
  return page == found.end() ? 0 : page->second;
}

}  // namespace

TEST_CASE("near_pages: three pointers from the image, and no further") {
  for (bool five_levels : {false, true}) {
    KernelSpec spec;
    spec.five_levels = five_levels;
    spec.kaslr_offset = 0x2000000;
    KernelBuilder builder(spec);
    std::vector<uint64_t> objects;
    for (int i = 0; i < 5; ++i) objects.push_back(builder.allocate(kPageBytes));
    VmcoreBuilder& memory = builder.build();
    uint64_t map = builder.direct_map();
    memory.store(spec.image_physical + kData, map + objects[0] + 0x40);
    memory.store(objects[0] + 0x40 + 8, map + objects[1]);
    memory.store(objects[1] + 568, map + objects[2] + 2);  // the end of an xarray's node, marked
    memory.store(objects[2], map + objects[3]);
    memory.store(objects[0] + 0x40 + 576, map + objects[4]);
    std::map<uint64_t, unsigned> found = find_near(memory);
    CHECK(distance_of(found, objects[0]) == 1);
    CHECK(distance_of(found, objects[1]) == 2);
    CHECK(distance_of(found, objects[2]) == 3);
    CHECK(distance_of(found, objects[3]) == 0);
    CHECK(distance_of(found, objects[4]) == 0);
  }
}

TEST_CASE("near_pages: a list is one step to its end, and what its members point at another") {
  constexpr uint64_t kTasks = 300;
  constexpr uint64_t kLinkAt = 0x900;
  KernelSpec spec;
  KernelBuilder builder(spec);
  uint64_t tasks = builder.allocate(kTasks * kPageBytes);
  uint64_t stacks = builder.allocate(kTasks * kPageBytes);
  VmcoreBuilder& memory = builder.build();
  uint64_t map = builder.direct_map();
  auto link = [&](uint64_t i) {
    return i < kTasks ? map + tasks + i * kPageBytes + kLinkAt : kDataAddress;
  };
  memory.store(spec.image_physical + kData, link(0));
  memory.store(spec.image_physical + kData + 8, link(kTasks - 1));
  for (uint64_t i = 0; i < kTasks; ++i) {
    uint64_t task = tasks + i * kPageBytes;
    memory.store(task + kLinkAt, link(i + 1));
    memory.store(task + kLinkAt + 8, i == 0 ? kDataAddress : link(i - 1));
    memory.store(task + 0x20, map + stacks + i * kPageBytes + 0x100);
  }
  std::map<uint64_t, unsigned> found = find_near(memory);
  for (uint64_t i = 0; i < kTasks; ++i) {
    CAPTURE(i);
    CHECK(distance_of(found, tasks + i * kPageBytes) == 1);
    CHECK(distance_of(found, stacks + i * kPageBytes) == 2);
  }

  // Where a member does not point back, the list ends: the next ones are single steps.
  memory.store(tasks + 5 * kPageBytes + kLinkAt + 8, link(200));
  found = find_near(memory);
  CHECK(distance_of(found, tasks + 4 * kPageBytes) == 1);
  CHECK(distance_of(found, tasks + 5 * kPageBytes) == 2);
  CHECK(distance_of(found, tasks + 6 * kPageBytes) == 3);
  CHECK(distance_of(found, tasks + 20 * kPageBytes) == 0);
}

TEST_CASE("near_pages: an xarray is one step to its lowest nodes, and its entries another") {
  constexpr uint64_t kSlots = 40;
  KernelSpec spec;
  KernelBuilder builder(spec);
  std::vector<uint64_t> nodes, entries;
  for (int i = 0; i < 6; ++i) nodes.push_back(builder.allocate(kPageBytes));
  for (int i = 0; i < 6; ++i) entries.push_back(builder.allocate(kPageBytes));
  VmcoreBuilder& memory = builder.build();
  uint64_t map = builder.direct_map();
  memory.store(spec.image_physical + kData + 8, map + nodes[0] + 2);
  memory.store(nodes[0] + 16, kDataAddress);  // the array
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (i > 0) memory.store(nodes[i] + 8, map + nodes[i - 1]);
    if (i > 0) memory.store(nodes[i - 1] + kSlots + i * 8, map + nodes[i] + 2);
    memory.store(nodes[i] + kSlots + 63 * 8, map + entries[i]);
  }
  std::map<uint64_t, unsigned> found = find_near(memory);
  for (size_t i = 0; i < nodes.size(); ++i) {
    CAPTURE(i);
    CHECK(distance_of(found, nodes[i]) == 1);
    CHECK(distance_of(found, entries[i]) == 2);
  }

  // A node that knows another parent is a step of its own, and so is one of another array.
  memory.store(nodes[3] + 8, map + nodes[4]);
  found = find_near(memory);
  CHECK(distance_of(found, nodes[2]) == 1);
  CHECK(distance_of(found, nodes[3]) == 2);
  CHECK(distance_of(found, nodes[4]) == 3);
  memory.store(nodes[0] + 16, kDataAddress + 0x1000);
  found = find_near(memory);
  CHECK(distance_of(found, nodes[0]) == 1);
  CHECK(distance_of(found, nodes[1]) == 2);

  // Nodes in a ring: the walk ends.
  memory.store(nodes[0] + 16, kDataAddress);
  memory.store(nodes[0] + 8, map + nodes[0]);
  for (uint64_t slot = 0; slot < 64; ++slot)
    memory.store(nodes[0] + kSlots + slot * 8, map + nodes[0] + 2);
  CHECK(distance_of(find_near(memory), nodes[0]) == 1);
}

TEST_CASE("near_pages: a stack is found whole") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  std::vector<uint64_t> pages;
  for (uint64_t i = 0; i < 5; ++i) pages.push_back(builder.allocate(3 * kPageBytes));
  for (uint64_t i = 0; i < 5; ++i)
    builder.map(kVmalloc + i * kPageBytes, pages[i], kPageBytes);  // the fifth belongs to another
  VmcoreBuilder& memory = builder.build();
  memory.store(spec.image_physical + kData, kVmalloc);
  std::map<uint64_t, unsigned> found = find_near(memory);
  for (uint64_t i = 0; i < 4; ++i) CHECK(distance_of(found, pages[i]) == 1);
  CHECK(distance_of(found, pages[4]) == 0);
}

TEST_CASE("near_pages: pointers to struct pages lead nowhere") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  VmcoreBuilder& memory = builder.build();
  memory.store(spec.image_physical + kData, builder.virtual_struct_page(100));
  CHECK(distance_of(find_near(memory), builder.struct_page_address(100)) == 0);
}

TEST_CASE("near_pages: memory full of pointers ends at a limit, and the first step is whole") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  constexpr uint64_t kWords = 100'000;  // more than the objects that are remembered
  constexpr uint64_t kStride = 64;
  uint64_t begin = builder.allocate(kWords * kStride);
  VmcoreBuilder& memory = builder.build();
  std::vector<uint64_t> words;
  for (uint64_t i = 0; i < kWords; ++i)
    words.push_back(builder.direct_map() + begin + (i * 7919 % kWords) * kStride);
  memory.write(spec.image_physical + kData, std::as_bytes(std::span(words)));
  memory.write(begin, std::as_bytes(std::span(words)));
  std::map<uint64_t, unsigned> found = find_near(memory);
  for (uint64_t at = begin; at < begin + kWords * kStride; at += kPageBytes)
    REQUIRE(distance_of(found, at) == 1);
}

TEST_CASE("near_pages: nothing without page tables") {
  KernelBuilder builder{KernelSpec()};
  builder.without_vmcoreinfo();
  CHECK(find_near(builder.build()).empty());
}

TEST_CASE(
    "near_pages: pass 1 puts their chunks behind the essential ones, if they are the kernel's") {
  KernelSpec spec;
  KernelBuilder builder(spec);
  constexpr uint64_t kFirst = 4 * kSectionPages;  // page frames with nothing else around
  constexpr unsigned kChunks = 5;
  builder.add_ram(kFirst * kPageBytes, kChunks * kChunkPages * kPageBytes);
  constexpr uint64_t kLeaf = 2 << 20;
  for (uint64_t at = kFirst * kPageBytes; at < (kFirst + 6 * kChunkPages) * kPageBytes; at += kLeaf)
    builder.map(builder.direct_map() + at, at, kLeaf);
  for (uint64_t i = 0; i < kChunkPages; ++i) builder.anon(kFirst + 4 * kChunkPages + i);
  VmcoreBuilder& memory = builder.build();
  auto chunk = [&](uint64_t i) { return (kFirst + i * kChunkPages) * kPageBytes; };
  uint64_t map = builder.direct_map();
  // 3 is near, 1 behind it, 0 and 2 are not; 4 is pointed at too, but is a user's.
  memory.store(spec.image_physical + kData, map + chunk(3));
  memory.store(spec.image_physical + kData + 8, map + chunk(4));
  memory.store(chunk(3), map + chunk(1));
  JudgedVmcore judged(memory);
  std::vector<uint64_t> order;
  for (unsigned threads : {1, 3}) {
    PassOne pass = std::move(PassOne::create(judged.vmcore(), judged.layout(), 1, threads).value());
    auto result = pass.run([](uint64_t, Bytes, Bytes) { return Status(); });
    REQUIRE(result.ok());
    CHECK(result->plan.kept_pages(ChunkPriority::kNear1) == kChunkPages);
    CHECK(result->plan.kept_pages(ChunkPriority::kNear2) == kChunkPages);
    order.clear();
    Plan::Cursor cursor(result->plan);
    while (auto planned = cursor.next())
      if (planned->first_pfn >= kFirst)
        order.push_back((planned->first_pfn - kFirst) / kChunkPages);
    CHECK(order == std::vector<uint64_t>{3, 1, 0, 2, 4});
  }
}
