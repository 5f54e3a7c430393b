#include "capture/plan/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "capture/plan/presence.h"

using namespace dw;

namespace {

PhysicalMap memory_of(const std::vector<PfnRange>& ranges) {
  std::vector<Segment> segments;
  for (const PfnRange& range : ranges) {
    uint64_t size = (range.end - range.begin) * 4096;
    segments.push_back({.file_offset = 0,
                        .virtual_address = 0,
                        .physical_address = range.begin * 4096,
                        .file_size = size,
                        .memory_size = size});
  }
  return PhysicalMap::from_segments(segments, 4096);
}

PlanBuilder builder_of(const PhysicalMap& memory) {
  return std::move(PlanBuilder::create(memory).value());
}

using Bits = std::array<uint64_t, kWindowWords>;
using Priorities = std::array<ChunkPriority, kWindowChunks>;

Priorities all(ChunkPriority priority) {
  Priorities priorities;
  priorities.fill(priority);
  return priorities;
}

void set(Bits& bits, uint64_t page) { bits[page / 64] |= uint64_t{1} << (page % 64); }

// Every page of memory kept, at one priority.
Plan keep_all(const PhysicalMap& memory) {
  PlanBuilder builder = builder_of(memory);
  for (size_t window = 0; window < builder.window_count(); ++window) {
    Bits bits;
    present_bits(memory, builder.first_pfn(window), std::as_writable_bytes(std::span(bits)));
    builder.set_window(window, bits, all(ChunkPriority::kOther));
  }
  return std::move(builder).finish();
}

std::vector<PlannedChunk> chunks_of(const Plan& plan) {
  std::vector<PlannedChunk> chunks;
  Plan::Cursor cursor(plan);
  while (auto chunk = cursor.next()) chunks.push_back(*chunk);
  return chunks;
}

}  // namespace

TEST_CASE("plan: ranks count kept pages in order of page frame") {
  PhysicalMap memory = memory_of({{1, 300}, {600, 601}, {32768, 32770}});
  Plan plan = keep_all(memory);
  CHECK(plan.kept_pages() == 302);
  CHECK(plan.chunk_count() == 4);
  std::vector<PlannedChunk> chunks = chunks_of(plan);
  REQUIRE(chunks.size() == 4);
  const uint64_t first_pfns[] = {0, 256, 512, 32768};
  const uint64_t ranks[] = {0, 255, 299, 300};
  const unsigned kept[] = {255, 44, 1, 2};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(chunks[i].first_pfn == first_pfns[i]);
    CHECK(chunks[i].rank == ranks[i]);
    CHECK(chunks[i].kept == kept[i]);
  }
}

TEST_CASE("plan: priorities change the order and leave the ranks") {
  PhysicalMap memory = memory_of({{0, 1024}, {40000, 40512}});
  PlanBuilder builder = builder_of(memory);
  REQUIRE(builder.window_count() == 2);
  for (size_t window : {1, 0}) {  // in any order
    Bits bits;
    present_bits(memory, builder.first_pfn(window), std::as_writable_bytes(std::span(bits)));
    Priorities priorities = all(ChunkPriority::kOther);
    priorities[1] = window == 0 ? ChunkPriority::kKernel : ChunkPriority::kOther;
    priorities[(40192 - 32768) / kChunkPages] =
        window == 1 ? ChunkPriority::kEssential : ChunkPriority::kOther;
    builder.set_window(window, bits, priorities);
  }
  Plan plan = std::move(builder).finish();
  std::vector<uint64_t> order;
  for (const PlannedChunk& chunk : chunks_of(plan)) order.push_back(chunk.first_pfn);
  CHECK(order == std::vector<uint64_t>{40192, 256, 0, 512, 768, 39936, 40448});
  std::vector<PlannedChunk> chunks = chunks_of(plan);
  CHECK(chunks[0].rank == 1024 + (40192 - 40000));
  std::ranges::sort(chunks, {}, &PlannedChunk::first_pfn);
  uint64_t rank = 0;
  for (const PlannedChunk& chunk : chunks) {
    CHECK(chunk.rank == rank);
    rank += chunk.kept;
  }
  CHECK(rank == plan.kept_pages());
}

TEST_CASE(
    "plan: of the kernel's chunks the preferred ones come first, the most urgent of all first") {
  PhysicalMap memory = memory_of({{0, 2048}, {100 * kWindowPages, 100 * kWindowPages + 256}});
  PlanBuilder builder = builder_of(memory);
  builder.prefer(100 * kWindowPages + 7, ChunkPriority::kNear1);
  builder.prefer(3 * 256, ChunkPriority::kNear3);
  builder.prefer(3 * 256 + 1, ChunkPriority::kNear2);
  builder.prefer(3 * 256 + 2, ChunkPriority::kNear3);
  builder.prefer(5 * 256, ChunkPriority::kNear2);            // another user's
  builder.prefer(6 * 256, ChunkPriority::kNear2);            // essential anyway
  builder.prefer(50 * kWindowPages, ChunkPriority::kNear1);  // a window without memory
  builder.prefer(UINT64_MAX, ChunkPriority::kNear1);
  for (size_t window = 0; window < builder.window_count(); ++window) {
    Bits bits;
    present_bits(memory, builder.first_pfn(window), std::as_writable_bytes(std::span(bits)));
    Priorities priorities = all(ChunkPriority::kKernel);
    if (window == 0) priorities[5] = ChunkPriority::kOther;
    if (window == 0) priorities[6] = ChunkPriority::kEssential;
    builder.set_window(window, bits, priorities);
  }
  Plan plan = std::move(builder).finish();
  std::vector<uint64_t> order;
  for (const PlannedChunk& chunk : chunks_of(plan)) order.push_back(chunk.first_pfn / 256);
  CHECK(order == std::vector<uint64_t>{6, 100 * kWindowChunks, 3, 0, 1, 2, 4, 7, 5});
  CHECK(plan.kept_pages() == 2048 + 256);
  CHECK(plan.kept_pages(ChunkPriority::kNear2) == 256);
}

TEST_CASE("plan: in order of address, each chunk with its place in plan order") {
  PhysicalMap memory = memory_of({{1, 32000}, {40000, 90000}});
  PlanBuilder builder = builder_of(memory);
  for (size_t window = 0; window < builder.window_count(); ++window) {
    Bits bits;
    present_bits(memory, builder.first_pfn(window), std::as_writable_bytes(std::span(bits)));
    Priorities priorities;
    for (size_t i = 0; i < priorities.size(); ++i)
      priorities[i] = static_cast<ChunkPriority>((i * 7 + window) % kPriorityCount);
    builder.set_window(window, bits, priorities);
  }
  Plan plan = std::move(builder).finish();
  uint64_t sum = 0;
  for (unsigned i = 0; i < kPriorityCount; ++i)
    sum += plan.kept_pages(static_cast<ChunkPriority>(i));
  CHECK(sum == plan.kept_pages());
  // By rank: where the chunk stands in plan order.
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  uint64_t slot = 0;
  for (const PlannedChunk& chunk : chunks_of(plan)) {
    expected.emplace_back(chunk.rank, slot);
    slot += chunk.kept;
  }
  std::ranges::sort(expected);
  REQUIRE(expected.size() > 300);
  Plan::AddressCursor cursor(plan);
  uint64_t rank = 0;
  for (const auto& [expected_rank, expected_slot] : expected) {
    std::optional<PlacedChunk> placed = cursor.next();
    REQUIRE(placed);
    CHECK(rank == expected_rank);
    CHECK(placed->slot == expected_slot);
    rank += placed->kept;
  }
  CHECK_FALSE(cursor.next());
}

TEST_CASE("plan: chunks without a kept page are left out") {
  PhysicalMap memory = memory_of({{0, 32768}});
  PlanBuilder builder = builder_of(memory);
  Bits bits{};
  set(bits, 300);
  set(bits, 32767);
  builder.set_window(0, bits, all(ChunkPriority::kKernel));
  Plan plan = std::move(builder).finish();
  std::vector<PlannedChunk> chunks = chunks_of(plan);
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].first_pfn == 256);
  CHECK(chunks[1].first_pfn == 32512);
  CHECK(chunks[1].rank == 1);
}

TEST_CASE("plan: a full chunk of 256 pages is counted as such") {
  Plan plan = keep_all(memory_of({{0, 512}}));
  for (const PlannedChunk& chunk : chunks_of(plan)) CHECK(chunk.kept == 256);
}

TEST_CASE("plan: nothing kept, nothing there") {
  PhysicalMap memory = memory_of({{0, 100}});
  Plan nothing_kept = std::move(builder_of(memory)).finish();
  CHECK(chunks_of(nothing_kept).empty());
  Plan nothing_there = keep_all(memory_of({}));
  CHECK(nothing_there.kept_pages() == 0);
  CHECK(chunks_of(nothing_there).empty());
}

TEST_CASE("plan: windows far apart cost no more than windows side by side") {
  uint64_t far = uint64_t{1} << 39;
  PhysicalMap apart = memory_of({{0, 1}, {far, far + 1}});
  CHECK(Plan::memory_bytes(apart, false) ==
        Plan::memory_bytes(memory_of({{0, 2 * kWindowPages}}), false));
  std::vector<PlannedChunk> chunks = chunks_of(keep_all(apart));
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[1].first_pfn == far);
  CHECK(chunks[1].rank == 1);
}

TEST_CASE("plan: several ranges in one window make one window") {
  PhysicalMap memory = memory_of({{0, 10}, {20, 30}, {32760, 32780}, {32790, 32800}});
  CHECK(builder_of(memory).window_count() == 2);
}

TEST_CASE("plan: takes little more than 2 MiB per TiB of memory") {
  uint64_t pages_of_tib = (uint64_t{1} << 40) / 4096;
  size_t bytes = Plan::memory_bytes(memory_of({{0, pages_of_tib}}), false);
  CHECK(bytes >= 2 << 20);
  CHECK(bytes <= (2 << 20) + (256 << 10));
}

TEST_CASE("presence: each bit is set if and only if its page is in the map") {
  PhysicalMap memory = memory_of({{3, 9}, {16, 24}, {25, 26}, {63, 64}, {100, 105}});
  for (uint64_t first : {0, 8, 16, 64, 96, 104, 112}) {
    CAPTURE(first);
    std::array<std::byte, 8> bits;
    bits.fill(std::byte{0xff});
    present_bits(memory, first, bits);
    for (uint64_t i = 0; i < 64; ++i) {
      bool bit = (bits[i / 8] & std::byte{1} << (i % 8)) != std::byte{0};
      CHECK(bit == memory.contains_pfn(first + i));
    }
  }
}

TEST_CASE("presence: beyond the memory all bits are clear") {
  std::array<std::byte, 4> bits;
  bits.fill(std::byte{0xff});
  present_bits(memory_of({{0, 10}}), 1 << 20, bits);
  CHECK(bits == std::array<std::byte, 4>{});
}

TEST_CASE("plan: a digest tells two sets of pages of a chunk apart, where it is asked for") {
  ChunkBits bits{0xf0, 0, 0, 1};
  ChunkBits moved{0xe8, 0, 0, 1};
  CHECK(count_bits(bits) == count_bits(moved));
  CHECK(digest_of(bits) != digest_of(moved));

  PhysicalMap memory = memory_of({{0, 300}});
  for (bool with_digests : {false, true}) {
    PlanBuilder builder = std::move(PlanBuilder::create(memory, with_digests).value());
    Bits kept{};
    std::ranges::copy(bits, kept.begin());
    builder.set_window(0, kept, all(ChunkPriority::kOther));
    Plan plan = std::move(builder).finish();
    CHECK(plan.has_digests() == with_digests);
    REQUIRE(chunks_of(plan).size() == 1);
    CHECK(chunks_of(plan)[0].digest == (with_digests ? digest_of(bits) : 0));
  }
  uint64_t pages_of_tib = uint64_t{1} << 28;
  PhysicalMap tib = memory_of({{0, pages_of_tib}});
  CHECK(Plan::memory_bytes(tib, true) - Plan::memory_bytes(tib, false) == 4 << 20);
}

TEST_CASE("plan: windows may be given by index") {
  PlanBuilder builder =
      std::move(PlanBuilder::create(std::array<uint64_t, 2>{1, 7}, false).value());
  REQUIRE(builder.window_count() == 2);
  CHECK(builder.first_pfn(0) == kWindowPages);
  CHECK(builder.first_pfn(1) == 7 * kWindowPages);
}

namespace {

struct PlanShape {
  std::vector<uint64_t> windows = {1, 7};
  uint64_t bit = 300;  // of the first window, kept
  size_t essential = 3;
  size_t idle = 50;  // a chunk without a kept page, of another priority than most
  bool with_digests = true;
};

uint64_t digest_of_plan(const PlanShape& shape) {
  PlanBuilder builder = std::move(PlanBuilder::create(shape.windows, shape.with_digests).value());
  for (size_t window = 0; window < builder.window_count(); ++window) {
    Bits bits{};
    set(bits, window == 0 ? shape.bit : 5);
    set(bits, 3 * kChunkPages);
    Priorities priorities = all(ChunkPriority::kOther);
    priorities[shape.essential] = ChunkPriority::kEssential;
    priorities[shape.idle] = ChunkPriority::kKernel;
    builder.set_window(window, bits, priorities);
  }
  return std::move(builder).finish().digest();
}

}  // namespace

TEST_CASE("plan: its digest tells plans apart that write other pages or in another order") {
  uint64_t digest = digest_of_plan({});
  CHECK(digest_of_plan({}) == digest);
  CHECK(digest_of_plan({.windows = {1, 8}}) != digest);
  CHECK(digest_of_plan({.windows = {1, 7, 9}}) != digest);
  CHECK(digest_of_plan({.bit = 800}) != digest);
  CHECK(digest_of_plan({.bit = 301}) != digest);
  CHECK(digest_of_plan({.essential = 4}) != digest);
  CHECK(digest_of_plan({.idle = 100}) == digest);
  // Without digests of the chunks only their counts and order are told.
  uint64_t bare = digest_of_plan({.with_digests = false});
  CHECK(digest_of_plan({.bit = 301, .with_digests = false}) == bare);
  CHECK(digest_of_plan({.bit = 800, .with_digests = false}) != bare);
  CHECK(keep_all(memory_of({})).digest() != digest);
}
