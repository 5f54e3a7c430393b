#include "capture/plan/batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Seen {
  std::vector<uint64_t> pfns;
  unsigned pages;
  uint64_t sequence;

  friend bool operator==(const Seen&, const Seen&) = default;
};

// A plan whose chunks keep the given numbers of pages.
Plan plan_of(std::initializer_list<unsigned> kept) {
  VmcoreBuilder builder;
  uint64_t chunk = 0;
  for (unsigned pages : kept)
    builder.add_ram(chunk++ * kChunkPages * kPageBytes, pages * kPageBytes);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  return whole_plan(vmcore).plan;
}

Seen seen_in(const PlannedBatch& batch) {
  Seen seen{.pfns = {}, .pages = batch.pages(), .sequence = batch.sequence()};
  for (const PlannedChunk& planned : batch.chunks()) seen.pfns.push_back(planned.first_pfn);
  return seen;
}

std::vector<Seen> batches_of(const Plan& plan, uint64_t first_sequence = 0) {
  std::vector<Seen> all;
  BatchCursor cursor(plan, first_sequence);
  PlannedBatch batch;
  while (cursor.next(batch)) all.push_back(seen_in(batch));
  CHECK(batch.chunks().empty());
  CHECK_FALSE(cursor.next(batch));
  return all;
}

}  // namespace

TEST_CASE("batch: as many whole chunks as fit in 256 pages") {
  std::vector<Seen> all = batches_of(plan_of({256, 100, 100, 56, 1, 255, 256, 200, 57}));
  REQUIRE(all.size() == 6);
  CHECK(all[0].pfns == std::vector<uint64_t>{0});
  CHECK(all[1].pfns == std::vector<uint64_t>{256, 512, 768});
  CHECK(all[2].pfns == std::vector<uint64_t>{1024, 1280});
  CHECK(all[3].pfns == std::vector<uint64_t>{1536});
  CHECK(all[4].pfns == std::vector<uint64_t>{1792});
  CHECK(all[5].pfns == std::vector<uint64_t>{2048});
  for (size_t i = 0; i < 3; ++i) CHECK(all[i].pages == 256);
  CHECK(all[4].pages == 200);
  for (size_t i = 0; i < all.size(); ++i) CHECK(all[i].sequence == i);
}

TEST_CASE("batch: 256 chunks of one page make one") {
  VmcoreBuilder builder;
  for (uint64_t i = 0; i < 300; ++i) builder.add_ram(i * kChunkPages * kPageBytes, kPageBytes);
  TemporaryVmcore file(builder);
  Plan plan = whole_plan(std::move(Vmcore::open(file.path()).value())).plan;
  BatchCursor cursor(plan);
  PlannedBatch batch;
  REQUIRE(cursor.next(batch));
  CHECK(batch.chunks().size() == 256);
  REQUIRE(cursor.next(batch));
  CHECK(batch.chunks().size() == 44);
}

TEST_CASE("batch: a walk may begin at any of them") {
  Plan plan = plan_of({256, 100, 100, 56, 1, 255, 256, 200, 57});
  std::vector<Seen> all = batches_of(plan);
  for (size_t first = 0; first <= all.size() + 2; ++first) {
    CAPTURE(first);
    size_t left = all.size() - std::min(first, all.size());
    CHECK(batches_of(plan, first) == std::vector<Seen>(all.end() - left, all.end()));
  }
}

TEST_CASE("batch: some of them may be visited, until the visitor has enough") {
  Plan plan = plan_of({256, 100, 100, 56, 1, 255, 256, 200, 57});
  std::vector<Seen> all = batches_of(plan);
  for (size_t begin = 0; begin <= all.size(); ++begin) {
    for (size_t end = begin; end <= all.size() + 1; ++end) {
      std::vector<Seen> visited;
      Status status = visit_batches(plan, begin, end, [&](const PlannedBatch& batch) {
        visited.push_back(seen_in(batch));
        return Status();
      });
      CHECK(status.ok());
      CHECK(visited ==
            std::vector<Seen>(all.begin() + begin, all.begin() + std::min(end, all.size())));
    }
  }
  unsigned calls = 0;
  Status status = visit_batches(plan, 1, 5, [&](const PlannedBatch&) -> Status {
    if (++calls < 2) return {};
    return Error(ErrorKind::kIo, "the test says so");
  });
  CHECK_FALSE(status.ok());
  CHECK(calls == 2);
}
