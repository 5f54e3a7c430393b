#include "capture/cli/bench_measure.h"

#include <doctest/doctest.h>

#include "capture/pipeline/vmcore_page_source.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

// 2 MiB that do not compress and 2 MiB that do, beside a small crash.
struct Bench {
  Bench()
      : file(large_crash(2).add_ram(0x2000000, 2 << 20).fill(0x2000000, 2 << 20, 0x11)),
        vmcore(std::move(Vmcore::open(file.path()).value())),
        layout(find_layout(vmcore)),
        source(std::move(VmcorePageSource::create(vmcore, layout, 1).value())),
        pass_one(whole_plan(vmcore)),
        sample(std::move(BenchSample::take(vmcore, *source, pass_one.plan, 64 << 20).value())) {}

  [[nodiscard]] BenchSetup setup() const {
    return {
        .vmcore = vmcore, .layout = layout, .sample = sample, .dump_level = 1, .seconds = 0.001};
  }

  TemporaryVmcore file;
  Vmcore vmcore;
  VmcoreLayout layout;
  std::unique_ptr<PageSource> source;
  PassOneResult pass_one;
  BenchSample sample;
};

}  // namespace

TEST_CASE("bench measure: every codec, alone and in the pipeline") {
  Bench bench;
  for (const Saving& spec : kBenchCodecs) {
    CAPTURE(compression_name(spec.compression));
    Result<CodecSpeed> speed = measure_codec(bench.setup(), spec);
    REQUIRE_MESSAGE(speed.ok(), text_of(speed));
    CHECK(speed->bare.median > 0);
    CHECK(speed->bare.low <= speed->bare.median);
    CHECK(speed->bare.median <= speed->bare.high);
    // About half does not compress, the rest to nearly nothing.
    bool none = spec.compression.compression == Compression::kNone;
    CHECK(speed->ratio >= (none ? 1.0 : 0.45));
    CHECK(speed->ratio <= (none ? 1.001 : 0.60));

    REQUIRE(measure_pipeline(bench.setup(), 2, *speed).ok());
    CHECK(speed->threads == 2);
    CHECK(speed->pipeline.median > 0);
    CHECK(speed->efficiency > 0);
    CHECK(speed->codec_share > 0);
    // The equal pages of 0x11 are stored once in a kdump file.
    bool once = spec.format == DumpFormat::kKdump;
    CHECK(speed->stored_share > 0.40);
    CHECK(speed->stored_share < (none && !once ? 1.001 : 0.60));
  }
}

TEST_CASE("bench measure: reading in both ways, and judging") {
  Bench bench;
  std::vector<PageRun> runs = spread_runs(*bench.source, bench.pass_one.plan, 1 << 20);
  for (ReadMethod method : {ReadMethod::kRead, ReadMethod::kMap}) {
    Result<ReadSpeed> speed = measure_reading(bench.file.path(), method, runs, 0.001);
    REQUIRE_MESSAGE(speed.ok(), text_of(speed));
    CHECK(speed->mapped == (method == ReadMethod::kMap));
    CHECK(speed->rate.median > 0);
    CHECK(speed->first_mb_per_s > 0);
    CHECK(speed->disk_share >= 0);
    CHECK(speed->disk_share <= 1);
  }
  CHECK_FALSE(measure_reading("/nonexistent", ReadMethod::kRead, runs, 0.001).ok());
}

TEST_CASE("bench measure: threads from one to all") {
  CHECK(thread_counts(1) == std::vector<unsigned>{1});
  CHECK(thread_counts(4) == std::vector<unsigned>{1, 2, 3, 4});
  CHECK(thread_counts(30) == std::vector<unsigned>{1, 2, 3, 4, 5, 6, 7, 8, 16, 30});
}

TEST_CASE("bench measure: names that --compress takes") {
  for (const Saving& spec : kBenchCodecs) {
    Result<CompressionOptions> parsed = parse_compression(compression_name(spec.compression));
    REQUIRE(parsed.ok());
    CHECK(parsed->compression == spec.compression.compression);
    CHECK(parsed->level == spec.compression.level);
  }
}

TEST_CASE("bench measure: memory grows with threads, and a stream's frames take more") {
  Bench bench;
  Saving frames{DumpFormat::kStream, {Compression::kZstd, 3}};
  uint64_t one = capture_memory_bytes(bench.setup(), kBenchCodecs[0], 1);
  uint64_t two = capture_memory_bytes(bench.setup(), kBenchCodecs[0], 2);
  CHECK(two > one + (1 << 20));
  CHECK(two < one + (4 << 20));
  CHECK(capture_memory_bytes(bench.setup(), frames, 8) >
        capture_memory_bytes(bench.setup(), kBenchCodecs[0], 8));
}
