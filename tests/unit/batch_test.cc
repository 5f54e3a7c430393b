#include "capture/plan/batch.h"

#include <doctest/doctest.h>

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
};

// A plan whose chunks keep the given numbers of pages.
std::vector<Seen> batches_of(std::initializer_list<unsigned> kept) {
  VmcoreBuilder builder;
  uint64_t chunk = 0;
  for (unsigned pages : kept)
    builder.add_ram(chunk++ * kChunkPages * kPageBytes, pages * kPageBytes);
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Plan plan = whole_plan(vmcore).plan;
  std::vector<Seen> all;
  BatchCursor cursor(plan);
  PlannedBatch batch;
  while (cursor.next(batch)) {
    Seen seen{.pfns = {}, .pages = batch.pages(), .sequence = batch.sequence()};
    for (const PlannedChunk& planned : batch.chunks()) seen.pfns.push_back(planned.first_pfn);
    all.push_back(seen);
  }
  CHECK(batch.chunks().empty());
  CHECK_FALSE(cursor.next(batch));
  return all;
}

}  // namespace

TEST_CASE("batch: as many whole chunks as fit in 256 pages") {
  std::vector<Seen> all = batches_of({256, 100, 100, 56, 1, 255, 256, 200, 57});
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
