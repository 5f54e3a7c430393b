// A pipeline that begins in the middle of a plan makes what one from the beginning makes there.

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "tests/unit/support/thinning.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr uint64_t kBatches = 330;
constexpr uint64_t kPagesPerBatch = 6;  // more than half a chunk is there, most of it zeros
const VmcoreLayout kUnknownKernel;

// Every chunk makes a batch, and most of its pages repeat some of other batches, near and far.
VmcoreBuilder many_duplicates() {
  VmcoreBuilder builder;
  uint64_t random = 1;
  for (uint64_t i = 0; i < kBatches; ++i) {
    uint64_t at = i * kChunkPages * kPageBytes;
    builder.add_ram(at, 130 * kPageBytes);
    for (uint64_t page = 0; page < kPagesPerBatch; ++page) {
      random = random * 6364136223846793005 + 1442695040888963407;
      uint64_t seed = page == 0 ? 1000 + i : random >> 57;
      builder.fill_random(at + 3 * page * kPageBytes, 300, seed);
    }
  }
  return builder;
}

struct StoredPage {
  PageHash hash;
  DuplicateIndex::Place place;
};

struct Batch {
  uint64_t sequence;
  std::vector<std::byte> data;
  std::vector<PageRecord> records;
  std::vector<StoredPage> stored;
};

bool same(const PageRecord& a, const PageRecord& b) {
  return a.size == b.size && a.state == b.state && a.where == b.where;
}

bool same_batch(const Batch& a, const Batch& b) {
  return a.sequence == b.sequence && a.data == b.data &&
         std::ranges::equal(a.records, b.records, same);
}

Batch batch_of(uint64_t sequence, const BatchOutput& output, uint64_t begin) {
  Batch batch{.sequence = sequence,
              .data = {output.data().begin(), output.data().end()},
              .records = {output.records().begin(), output.records().end()},
              .stored = {}};
  for (size_t i = 0; i < output.records().size(); ++i) {
    const PageRecord& record = output.records()[i];
    if (record.state == PageState::kStored)
      batch.stored.push_back(
          {.hash = output.hash(i), .place = {.where = begin + record.where, .size = record.size}});
  }
  return batch;
}

// Runs a pipeline from batch `first` on, with `before` in the file.
std::vector<Batch> run_from(const Vmcore& vmcore, const Plan& plan, uint64_t first,
                            std::span<const Batch> before, unsigned threads) {
  PipelineOptions options{.threads = threads,
                          .coding = {.compression = {}, .share_duplicates = true}};
  Pipeline pipeline = std::move(
      Pipeline::create([&] { return VmcorePageSource::create(vmcore, kUnknownKernel, 1); }, options,
                       vmcore.page_size())
          .value());
  uint64_t end = 0;
  for (const Batch& batch : before) {
    end += batch.data.size();
    if (batch.sequence < DuplicateIndex::first_visible(first)) continue;
    for (const StoredPage& page : batch.stored)
      pipeline.remember(batch.sequence, page.hash, page.place);
  }
  std::vector<Batch> batches;
  PlannedBits planned = [](uint64_t) -> Result<ChunkBits> {
    return ChunkBits{~uint64_t{0}, ~uint64_t{0}, 3, 0};
  };
  Status run = pipeline.run(
      plan, planned,
      [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
        uint64_t begin = end;
        end += output.data().size();
        batches.push_back(batch_of(batch.sequence(), output, begin));
        return begin;
      },
      first);
  CHECK(run.ok());
  return batches;
}

}  // namespace

TEST_CASE("pipeline: one that begins at any batch goes on with the same bytes") {
  TimeLimit limit(300);
  TemporaryVmcore file(many_duplicates());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Plan plan = whole_plan(vmcore).plan;
  std::vector<Batch> all = run_from(vmcore, plan, 0, {}, 1);
  REQUIRE(all.size() == kBatches);
  std::vector<uint64_t> firsts = {1, 31, 33, 150, 254, 255, 256, 257, 290, 329, 330, 400};
  for (size_t i = 0; i < firsts.size(); i += kThinning) {
    uint64_t first = firsts[i];
    size_t before = std::min(first, kBatches);
    for (unsigned threads : {1, 3, 8}) {
      CAPTURE(first);
      CAPTURE(threads);
      std::vector<Batch> rest =
          run_from(vmcore, plan, first, std::span(all).first(before), threads);
      CHECK(std::ranges::equal(rest, std::span(all).subspan(before), same_batch));
    }
  }
}

TEST_CASE("pipeline: one that begins in the middle and remembers nothing finds less") {
  TemporaryVmcore file(many_duplicates());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Plan plan = whole_plan(vmcore).plan;
  std::vector<Batch> all = run_from(vmcore, plan, 0, {}, 2);
  std::vector<Batch> rest = run_from(vmcore, plan, 150, {}, 2);
  REQUIRE(rest.size() == kBatches - 150);
  CHECK_FALSE(std::ranges::equal(rest, std::span(all).subspan(150), same_batch));
  auto earlier = [](const PageRecord& record) { return record.state == PageState::kEarlier; };
  CHECK(std::ranges::none_of(rest[0].records, earlier));
  size_t shared = 0;
  for (const Batch& batch : all)
    shared += static_cast<size_t>(std::ranges::count_if(batch.records, earlier));
  CHECK(shared > kBatches);
}
