#include "capture/cli/bench_sample.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "capture/pipeline/vmcore_page_source.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

// `windows` windows of which each chunk keeps `pages` pages; every fourth chunk is a kernel's.
Plan even_plan(size_t windows, unsigned pages) {
  std::vector<uint64_t> indexes;
  for (size_t i = 0; i < windows; ++i) indexes.push_back(3 * i);
  PlanBuilder builder = std::move(PlanBuilder::create(indexes, false).value());
  std::vector<uint64_t> kept(kWindowWords);
  std::vector<ChunkPriority> priorities(kWindowChunks, ChunkPriority::kOther);
  for (size_t page = 0; page < kWindowPages; ++page)
    if (page % kChunkPages < pages) kept[page / 64] |= uint64_t{1} << (page % 64);
  for (size_t chunk = 0; chunk < kWindowChunks; chunk += 4)
    priorities[chunk] = ChunkPriority::kKernel;
  for (size_t i = 0; i < windows; ++i) builder.set_window(i, kept, priorities);
  return std::move(builder).finish();
}

struct Opened {
  explicit Opened(const VmcoreBuilder& builder)
      : file(builder),
        vmcore(std::move(Vmcore::open(file.path()).value())),
        layout(find_layout(vmcore)),
        source(std::move(VmcorePageSource::create(vmcore, layout, 1).value())),
        plan(std::move(whole_plan(vmcore).plan)) {}

  [[nodiscard]] BenchSample sample(uint64_t bytes) const {
    Result<BenchSample> taken = BenchSample::take(vmcore, *source, plan, bytes);
    REQUIRE_MESSAGE(taken.ok(), text_of(taken));
    return std::move(*taken);
  }

  TemporaryVmcore file;
  Vmcore vmcore;
  VmcoreLayout layout;
  std::unique_ptr<PageSource> source;
  Plan plan;
};

}  // namespace

TEST_CASE("bench sample: no more pages than asked for, from all of memory, in plan order") {
  for (unsigned pages : {256U, 100U, 1U}) {
    CAPTURE(pages);
    Plan plan = even_plan(40, pages);
    std::vector<ChosenChunk> chosen = choose_chunks(plan, 4096);
    CHECK(chosen.size() * pages <= 4096);
    CHECK(chosen.size() * pages > 4096 * 3 / 4);
    CHECK(chosen.back().first_pfn / kWindowPages > 3 * 35);
    CHECK(chosen.front().first_pfn / kWindowPages < 3 * 12);
    // Kernel chunks come first, and are as many as in the plan: one in four.
    auto first_other =
        std::ranges::adjacent_find(chosen, std::ranges::greater{}, &ChosenChunk::first_pfn);
    REQUIRE(first_other != chosen.end());
    CHECK(std::ranges::is_sorted(chosen, {}, &ChosenChunk::priority));
    CHECK(first_other->priority < std::next(first_other)->priority);
    double share =
        static_cast<double>(first_other + 1 - chosen.begin()) / static_cast<double>(chosen.size());
    CHECK(share > 0.15);
    CHECK(share < 0.35);
  }
}

TEST_CASE("bench sample: all of a small plan, one batch of a sample that is too small") {
  Plan plan = even_plan(1, 256);
  CHECK(choose_chunks(plan, 1 << 20).size() == kWindowChunks);
  CHECK(choose_chunks(plan, 0).size() == 1);
  CHECK(choose_chunks(even_plan(1, 0), 4096).empty());
}

TEST_CASE("bench sample: the plan of a sample has the batches in the same order") {
  Opened opened(large_crash(40));
  BenchSample sample = opened.sample(8 << 20);
  std::vector<ChosenChunk> chosen = choose_chunks(opened.plan, (8 << 20) / kPageBytes);
  CHECK(sample.plan().has_digests());
  Plan::Cursor cursor(sample.plan());
  size_t i = 0;
  for (auto chunk = cursor.next(); chunk; chunk = cursor.next(), ++i) {
    REQUIRE(i < chosen.size());
    CHECK(chunk->first_pfn == chosen[i].first_pfn);
  }
  CHECK(i == chosen.size());
}

TEST_CASE("bench sample: zero, repeated and other pages of a whole vmcore") {
  Opened opened(small_crash().fill(0x20000, 3 * kPageBytes, 0x77));
  BenchSample sample = opened.sample(64 << 20);
  CHECK(sample.counts().kept == 222);
  CHECK(sample.counts().unreadable == 0);
  // Of the same page thrice, two repeat the first.
  CHECK(sample.counts().repeated >= 2);
  uint64_t zero = 0;
  for (const KnownPage& page : known_pages(small_crash().fill(0x20000, 3 * kPageBytes, 0x77)))
    if (std::ranges::all_of(page.content, [](std::byte byte) { return byte == std::byte{0}; }))
      ++zero;
  CHECK(sample.counts().zero == zero);
  CHECK(sample.filled_pages() == 222 - zero);
  uint64_t bytes = 0;
  for (size_t i = 0; i < sample.batch_count(); ++i) bytes += sample.batch(i).size();
  CHECK(bytes == sample.filled_pages() * kPageBytes);
}

TEST_CASE("bench sample: the same twice, and within its limit") {
  Opened opened(large_crash(32));
  BenchSample one = opened.sample(4 << 20);
  BenchSample two = opened.sample(4 << 20);
  CHECK(one.counts().kept * kPageBytes <= 4 << 20);
  CHECK(one.counts().kept * kPageBytes > 2 << 20);
  REQUIRE(one.batch_count() == two.batch_count());
  for (size_t i = 0; i < one.batch_count(); ++i)
    CHECK(std::ranges::equal(one.batch(i), two.batch(i)));
}

TEST_CASE("bench sample: pages that cannot be read are counted") {
  VmcoreBuilder builder = large_crash(8);
  builder.truncate_to(builder.file_size() - (2 << 20));
  TemporaryVmcore file(builder);
  Result<Vmcore> vmcore = Vmcore::open(file.path());
  if (!vmcore.ok()) return;  // refused at once is as good
  VmcoreLayout layout = find_layout(*vmcore);
  auto source = std::move(VmcorePageSource::create(*vmcore, layout, 1).value());
  PassOneResult pass_one = whole_plan(*vmcore);
  Result<BenchSample> sample = BenchSample::take(*vmcore, *source, pass_one.plan, 64 << 20);
  REQUIRE(sample.ok());
  CHECK(sample->counts().unreadable == 512);
  CHECK(sample->filled_pages() + sample->counts().zero + 512 == sample->counts().kept);
}

TEST_CASE("bench sample: runs cover the kept pages once") {
  Opened opened(small_crash());
  std::vector<PageRun> runs = spread_runs(*opened.source, opened.plan, 1 << 20);
  std::set<uint64_t> pages;
  for (const PageRun& run : runs) {
    CHECK(run.count >= 1);
    CHECK(run.count <= 32);
    for (unsigned i = 0; i < run.count; ++i) CHECK(pages.insert(run.first_pfn + i).second);
  }
  CHECK(pages.size() == 222);
}

TEST_CASE("bench sample: a vmcore of zeros has pages to keep, and none to compress") {
  Opened opened(VmcoreBuilder().add_cpus(1).add_ram(0x100000, 1 << 20));
  BenchSample sample = opened.sample(1 << 20);
  CHECK(sample.counts().kept == 256);
  CHECK(sample.counts().zero == 256);
  CHECK(sample.filled_pages() == 0);
}
