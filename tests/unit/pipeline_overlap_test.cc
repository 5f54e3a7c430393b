// Reading and compressing go on while the committer writes, with one worker too.

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

const VmcoreLayout kUnknownKernel;

// Pages of a vmcore, with a count of the chunks that were judged.
class CountingSource : public PageSource {
 public:
  CountingSource(std::unique_ptr<PageSource> inner, std::atomic<unsigned>& judged)
      : inner_(std::move(inner)), judged_(&judged) {}

  ChunkBits judge(uint64_t first_pfn) override {
    ++*judged_;
    return inner_->judge(first_pfn);
  }
  [[nodiscard]] uint64_t read_pages(uint64_t first_pfn, unsigned count,
                                    MutableBytes into) override {
    return inner_->read_pages(first_pfn, count, into);
  }

 private:
  std::unique_ptr<PageSource> inner_;
  std::atomic<unsigned>* judged_;
};

}  // namespace

TEST_CASE("pipeline: with one thread, the next batches are read while one is written") {
  TimeLimit limit(60);
  TemporaryVmcore file(VmcoreBuilder().add_ram(0, 40 * kChunkPages * kPageBytes));
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Plan plan = whole_plan(vmcore).plan;
  std::atomic<unsigned> judged{0};
  PageSourceFactory sources = [&]() -> Result<std::unique_ptr<PageSource>> {
    DW_ASSIGN(std::unique_ptr<PageSource> inner,
              VmcorePageSource::create(vmcore, kUnknownKernel, 1));
    return std::unique_ptr<PageSource>(new CountingSource(std::move(inner), judged));
  };
  Pipeline pipeline =
      std::move(Pipeline::create(sources, {.threads = 1, .coding = {}}, kPageBytes).value());
  PlannedBits all = [](uint64_t) -> Result<ChunkBits> {
    return ChunkBits{~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}};
  };
  unsigned written = 0;
  Status run = pipeline.run(plan, all, [&](auto&&...) -> Result<uint64_t> {
    // Writing takes until two more batches were begun; without overlap that is for ever.
    ++written;
    while (judged < std::min(written + 2, 40U)) ::usleep(100);
    return uint64_t{0};
  });
  CHECK(run.ok());
  CHECK(written == 40);
}
