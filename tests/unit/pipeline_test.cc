#include "capture/pipeline/pipeline.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "capture/codec/running_digest.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/presence.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr unsigned kThreadCounts[] = {1, 2, 3, 8};
constexpr unsigned kLimitSeconds = 120;

// 40 chunks: text, random bytes, zeros and holes.
VmcoreBuilder forty_chunks() {
  VmcoreBuilder builder;
  builder.add_ram(0x100000, 30 << 20).add_ram(0x10000000, 10 << 20);
  for (uint64_t i = 0; i < 30; ++i) {
    uint64_t at = 0x100000 + (i << 20);
    builder.fill_random(at, 3 * kPageBytes, i);
    builder.fill(at + 7 * kPageBytes, 5 * kPageBytes, static_cast<uint8_t>(i + 1));
  }
  return builder;
}

const VmcoreLayout kUnknownKernel;

Pipeline create(const Vmcore& vmcore, unsigned threads, const CodingOptions& coding = {}) {
  PageSourceFactory sources = [&] { return VmcorePageSource::create(vmcore, kUnknownKernel, 1); };
  PipelineOptions options{.threads = threads, .coding = coding};
  return std::move(Pipeline::create(sources, options, vmcore.page_size()).value());
}

// The bitmap of a pass 1 over the same memory: every page that is there.
PlannedBits bits_of(const Vmcore& vmcore) {
  return [&vmcore](uint64_t first_pfn) -> Result<ChunkBits> {
    ChunkBits bits;
    present_bits(vmcore.memory(), first_pfn, std::as_writable_bytes(std::span(bits)));
    return bits;
  };
}

struct Run {
  Status status;
  std::vector<PlannedChunk> chunks;
  std::vector<std::byte> data;
  std::vector<PageRecord> records;
  PageCounts counts;
};

// Runs a pipeline; the consumer fails at its call number `fail_at`.
Run run_pipeline(const Vmcore& vmcore, unsigned threads, size_t fail_at = ~size_t{0}) {
  TimeLimit limit(kLimitSeconds);
  Plan plan = whole_plan(vmcore).plan;
  Pipeline pipeline = create(vmcore, threads);
  CHECK(pipeline.threads() == threads);
  Run run;
  run.status = pipeline.run(
      plan, bits_of(vmcore),
      [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
        if (run.chunks.size() == fail_at) return Error(ErrorKind::kNoSpace, "the test says so");
        run.chunks.insert(run.chunks.end(), batch.chunks().begin(), batch.chunks().end());
        run.data.insert(run.data.end(), output.data().begin(), output.data().end());
        run.records.insert(run.records.end(), output.records().begin(), output.records().end());
        run.counts += output.counts();
        CHECK(output.data_digest() == digest64(output.data()));
        return uint64_t{0};
      });
  return run;
}

bool same(const PageRecord& a, const PageRecord& b) {
  return a.size == b.size && a.state == b.state;
}

Vmcore open(const TemporaryVmcore& file, ReadMethod method = ReadMethod::kRead) {
  return std::move(Vmcore::open(file.path(), method).value());
}

}  // namespace

TEST_CASE("pipeline: the same bytes for any number of threads, read or mapped") {
  TemporaryVmcore file(forty_chunks());
  Run expected = run_pipeline(open(file), 1);
  REQUIRE(expected.status.ok());
  CHECK(expected.counts.stored == 30 * 8);
  CHECK(expected.counts.zero == 40 * 256 - 30 * 8);
  for (ReadMethod method : {ReadMethod::kRead, ReadMethod::kMap}) {
    Vmcore vmcore = open(file, method);
    for (unsigned threads : kThreadCounts) {
      CAPTURE(threads);
      Run run = run_pipeline(vmcore, threads);
      CHECK(run.status.ok());
      CHECK(run.data == expected.data);
      CHECK(std::ranges::equal(run.records, expected.records, same));
    }
  }
}

TEST_CASE("pipeline: every chunk of the plan once and in order") {
  TemporaryVmcore file(forty_chunks());
  Vmcore vmcore = open(file);
  Plan plan = whole_plan(vmcore).plan;
  for (unsigned threads : kThreadCounts) {
    Run run = run_pipeline(vmcore, threads);
    Plan::Cursor cursor(plan);
    for (const PlannedChunk& chunk : run.chunks) {
      auto expected = cursor.next();
      REQUIRE(expected.has_value());
      CHECK(chunk.first_pfn == expected->first_pfn);
      CHECK(chunk.rank == expected->rank);
    }
    CHECK_FALSE(cursor.next().has_value());
  }
}

TEST_CASE("pipeline: an error of the consumer stops it at once and is returned") {
  TemporaryVmcore file(forty_chunks());
  Vmcore vmcore = open(file);
  for (unsigned threads : kThreadCounts) {
    for (size_t fail_at : {0, 1, 5, 39}) {
      Run run = run_pipeline(vmcore, threads, fail_at);
      CHECK(text_of(run.status) == "the test says so");
      CHECK(run.chunks.size() == fail_at);
    }
  }
}

TEST_CASE("pipeline: a vmcore that is cut meanwhile costs its pages, nothing else") {
  VmcoreBuilder builder = forty_chunks();
  for (ReadMethod method : {ReadMethod::kRead, ReadMethod::kMap}) {
    TemporaryVmcore file(builder);
    Vmcore vmcore = open(file, method);
    uint64_t keep = builder.file_offset_of_segment(0) + (15 << 20);
    REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(keep)) == 0);
    Run run = run_pipeline(vmcore, 3);
    CHECK(run.status.ok());
    CHECK(run.counts.missing == 25 * 256);
    CHECK(run.records.size() == 40 * 256);
  }
}

TEST_CASE("pipeline: an empty plan ends at once") {
  TemporaryVmcore file(forty_chunks());
  Vmcore vmcore = open(file);
  TimeLimit limit(kLimitSeconds);
  Plan plan = std::move(*PlanBuilder::create(vmcore.memory())).finish();
  for (unsigned threads : kThreadCounts) {
    Pipeline pipeline = create(vmcore, threads);
    int calls = 0;
    Status run = pipeline.run(plan, bits_of(vmcore), [&](auto&&...) -> Result<uint64_t> {
      ++calls;
      return uint64_t{0};
    });
    CHECK(run.ok());
    CHECK(calls == 0);
  }
}

TEST_CASE("pipeline: dump level 0 stores zero pages like others") {
  TemporaryVmcore file(forty_chunks());
  Vmcore vmcore = open(file);
  Plan plan = whole_plan(vmcore).plan;
  Pipeline pipeline = create(vmcore, 2, {.compression = {}, .share_zero_pages = false});
  PageCounts counts;
  Status run = pipeline.run(plan, bits_of(vmcore),
                            [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
                              counts += output.counts();
                              return uint64_t{0};
                            });
  CHECK(run.ok());
  CHECK(counts.stored == 40 * 256);
}

TEST_CASE("pipeline: where pass 2 judges differently, the plan holds and the chunk is counted") {
  VmcoreBuilder builder;
  builder.add_ram(0, kChunkPages * kPageBytes);
  builder.fill(3 * kPageBytes, 16, 3).fill(9 * kPageBytes, 16, 9).fill(10 * kPageBytes, 16, 10);
  TemporaryVmcore file(builder);
  Vmcore vmcore = open(file);
  // Pass 1 is made to have kept pages 3 and 9 only.
  PlanBuilder plan_builder = std::move(PlanBuilder::create(vmcore.memory()).value());
  std::array<uint64_t, kWindowWords> kept{1 << 3 | 1 << 9};
  std::array<ChunkPriority, kWindowChunks> priorities{};
  plan_builder.set_window(0, kept, priorities);
  Plan plan = std::move(plan_builder).finish();
  Pipeline pipeline = create(vmcore, 2);
  auto planned = [&](uint64_t) -> Result<ChunkBits> { return ChunkBits{1 << 3 | 1 << 9}; };
  PageCounts counts;
  Status run =
      pipeline.run(plan, planned, [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
        counts += output.counts();
        CHECK(output.records().size() == 2);
        return uint64_t{0};
      });
  CHECK(run.ok());
  CHECK(counts.changed_chunks == 1);
  CHECK(counts.stored == 2);
}

TEST_CASE("pipeline: what it needs stays in the budget and grows with the threads only") {
  PipelineOptions options{.threads = 0, .coding = {}};
  size_t fixed = Pipeline::memory_bytes(options, 4096);
  options.threads = 1;
  size_t per_thread = Pipeline::memory_bytes(options, 4096) - fixed;
  CHECK(fixed < 3 << 20);
  CHECK(per_thread < 2 << 20);
  for (unsigned threads : kThreadCounts) {
    options.threads = threads;
    CHECK(Pipeline::memory_bytes(options, 4096) == fixed + threads * per_thread);
  }
}

TEST_CASE("pipeline: a page that took another's place gets no descriptor of it") {
  // As many pages in both, and the two that change places are 64 apart.
  auto memory_without = [](uint64_t pfn) {
    VmcoreBuilder builder;
    for (uint64_t page = 0; page < 256; ++page)
      if (page != pfn) builder.add_ram(page * kPageBytes, kPageBytes);
    return builder.fill(63 * kPageBytes, pfn == 63 ? 0 : kPageBytes, 1);
  };
  TemporaryVmcore before_file(memory_without(127));
  TemporaryVmcore after_file(memory_without(63));
  Vmcore before = open(before_file);
  Vmcore after = open(after_file);
  Plan plan = whole_plan(before).plan;
  Pipeline pipeline = create(after, 1);
  unsigned chunks = 0;
  Status run = pipeline.run(
      plan, bits_of(before), [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
        ++chunks;
        REQUIRE(output.records().size() == 255);
        // Page 63 is gone and everything else stands where it was; page 127 has no place.
        for (size_t rank = 0; rank < 255; ++rank)
          CHECK((output.records()[rank].state == PageState::kMissing) == (rank == 63));
        CHECK(output.counts().changed_chunks == 1);
        return uint64_t{0};
      });
  CHECK(run.ok());
  CHECK(chunks == 1);
}

TEST_CASE("pipeline: a bitmap that cannot be read back is an error, not a change of memory") {
  TemporaryVmcore file(forty_chunks());
  Vmcore vmcore = open(file);
  Plan plan = whole_plan(vmcore).plan;
  Pipeline pipeline = create(vmcore, 2);
  PlannedBits broken = [](uint64_t) -> Result<ChunkBits> {
    return Error::from_errno("cannot read", EIO);
  };
  Status run =
      pipeline.run(plan, broken, [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
        REQUIRE(output.error().has_value());
        CHECK(output.counts().stored == 0);
        return *output.error();
      });
  REQUIRE_FALSE(run.ok());
  CHECK(run.error().errno_value() == EIO);
}

TEST_CASE("pipeline: without a bitmap to read back, a chunk that changed loses its pages") {
  VmcoreBuilder builder;
  builder.add_ram(0, 2 * kChunkPages * kPageBytes);
  builder.fill(3 * kPageBytes, 16, 3).fill(300 * kPageBytes, 16, 9);
  TemporaryVmcore file(builder);
  Vmcore vmcore = open(file);
  // Pass 1 is made to have seen one page less in the first chunk.
  PlanBuilder plan_builder = std::move(PlanBuilder::create(vmcore.memory(), true).value());
  std::array<uint64_t, kWindowWords> kept{};
  std::fill_n(kept.begin(), 8, ~uint64_t{0});
  kept[0] = ~uint64_t{1};
  plan_builder.set_window(0, kept, std::array<ChunkPriority, kWindowChunks>{});
  Plan plan = std::move(plan_builder).finish();
  Pipeline pipeline = create(vmcore, 2);
  PageCounts counts;
  Status run = pipeline.run(plan, {}, [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
    CHECK_FALSE(output.error().has_value());
    counts += output.counts();
    return uint64_t{0};
  });
  CHECK(run.ok());
  CHECK(counts.missing == 255);
  CHECK(counts.changed_chunks == 1);
  CHECK(counts.readable() == 256);
}

namespace {

// 100 chunks; a page's bytes repeat within its chunk, in the next one, and 40 chunks on.
VmcoreBuilder repeating_pages() {
  VmcoreBuilder builder;
  builder.add_ram(0x100000, 100 << 20);
  for (uint64_t i = 0; i < 100; ++i) {
    uint64_t at = 0x100000 + (i << 20);
    for (uint64_t copy = 0; copy < 3; ++copy)
      builder.fill_random(at + copy * kPageBytes, kPageBytes, 1000 + i);
    builder.fill_random(at + 10 * kPageBytes, kPageBytes, 2000 + i / 2);
    builder.fill_random(at + 11 * kPageBytes, kPageBytes, 3000 + i % 40);
  }
  return builder;
}

}  // namespace

TEST_CASE("pipeline: bytes that were stored before are stored once, for any number of threads") {
  TemporaryVmcore file(repeating_pages());
  Vmcore vmcore = open(file);
  Plan plan = whole_plan(vmcore).plan;
  std::vector<PageRecord> expected;
  for (unsigned threads : kThreadCounts) {
    CAPTURE(threads);
    Pipeline pipeline = create(vmcore, threads, {.compression = {}, .share_duplicates = true});
    PageCounts counts;
    std::vector<std::byte> written;
    std::vector<PageRecord> records;
    Status run =
        pipeline.run(plan, bits_of(vmcore),
                     [&](const PlannedBatch&, const BatchOutput& output) -> Result<uint64_t> {
                       uint64_t begin = written.size();
                       written.insert(written.end(), output.data().begin(), output.data().end());
                       for (PageRecord record : output.records()) {
                         if (record.state != PageState::kEarlier) record.where += begin;
                         records.push_back(record);
                       }
                       counts += output.counts();
                       return begin;
                     });
    REQUIRE(run.ok());
    // In each chunk two copies; of the pages that repeat 40 chunks on, all but the first 40. The
    // neighbour's are too near.
    CHECK(counts.shared == 100 * 2 + 60);
    CHECK(counts.stored == 100 * 5 - counts.shared);
    CHECK(counts.readable() == 100 * 256);
    for (size_t chunk = 0; chunk < 100; ++chunk) {
      const PageRecord* page = &records[chunk * 256];
      CHECK((page[1].state == PageState::kSame && page[1].where == page[0].where));
      if (chunk >= 40) CHECK(page[11].where == records[(chunk % 40) * 256 + 11].where);
    }
    if (expected.empty()) expected = records;
    CHECK(std::ranges::equal(records, expected,
                             [](auto& a, auto& b) { return same(a, b) && a.where == b.where; }));
  }
}
