#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "capture/codec/frame_decompressor.h"
#include "capture/codec/running_digest.h"
#include "capture/pipeline/missing_page.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "tests/unit/support/vmcores.h"
#include "tests/unit/support/whole_plan.h"

using namespace dw;
using namespace dw::test;

namespace {

// 20 chunks of 256 pages and 20 of 10, with a page that is only there for pass 1.
VmcoreBuilder forty_chunks() {
  VmcoreBuilder builder;
  for (uint64_t i = 0; i < 40; ++i) {
    uint64_t at = i * kChunkPages * kPageBytes;
    builder.add_ram(at, (i < 20 ? 256 : 10) * kPageBytes);
    builder.fill_random(at, 2 * kPageBytes, i).fill(at + 5 * kPageBytes, 9000, 7);
  }
  return builder;
}

struct Frames {
  std::vector<std::vector<std::byte>> frames;
  PageCounts counts;
};

Frames frames_of(const Vmcore& vmcore, const Plan& plan, Compression compression,
                 unsigned threads) {
  static const VmcoreLayout unknown;
  PipelineOptions options{
      .threads = threads,
      .coding = {.coding = Coding::kFrames, .compression = {.compression = compression}}};
  Pipeline pipeline =
      std::move(Pipeline::create([&] { return VmcorePageSource::create(vmcore, unknown, 1); },
                                 options, vmcore.page_size())
                    .value());
  Frames result;
  Status run = pipeline.run(plan, {}, [&](auto&, const BatchOutput& output) -> Result<uint64_t> {
    result.frames.emplace_back(output.data().begin(), output.data().end());
    result.counts += output.counts();
    CHECK(output.data_digest() == digest64(output.data()));
    return uint64_t{0};
  });
  REQUIRE(run.ok());
  return result;
}

Plan plan_of(const Vmcore& vmcore) {
  static const VmcoreLayout unknown;
  PassOne pass = std::move(PassOne::create(vmcore, unknown, 1, 2).value());
  auto nothing = [](uint64_t, Bytes, Bytes) { return Status(); };
  return std::move(pass.run(nothing, {.in_order = true, .with_digests = true})->plan);
}

}  // namespace

TEST_CASE("frame_coder: each batch is one frame of its pages, for any number of threads") {
  VmcoreBuilder builder = forty_chunks();
  TemporaryVmcore file(builder);
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  Plan plan = plan_of(vmcore);
  for (Compression compression : {Compression::kZstd, Compression::kLz4, Compression::kNone}) {
    Frames one = frames_of(vmcore, plan, compression, 1);
    CHECK(frames_of(vmcore, plan, compression, 3).frames == one.frames);
    REQUIRE(one.frames.size() == 21);  // the 20 small chunks make one
    CHECK(one.counts.readable() == 20 * 266);
    CHECK(one.counts.zero == 20 * (266 - 2 * 5));
    FrameDecompressor decompressor = std::move(FrameDecompressor::create(compression).value());
    BatchCursor cursor(plan);
    PlannedBatch batch;
    VmcoreReader reader(vmcore);
    for (const std::vector<std::byte>& frame : one.frames) {
      REQUIRE(cursor.next(batch));
      std::vector<std::byte> pages(batch.pages() * kPageBytes);
      REQUIRE(decompressor.decompress(frame, pages).ok());
      size_t at = 0;
      for (const PlannedChunk& chunk : batch.chunks()) {
        std::vector<std::byte> expected(chunk.kept * kPageBytes);
        REQUIRE(reader.read(chunk.first_pfn * kPageBytes, expected).ok());
        CHECK(std::ranges::equal(expected, std::span(pages).subspan(at, expected.size())));
        at += expected.size();
      }
    }
  }
}

TEST_CASE("frame_coder: the slot of a page that could not be read says so") {
  TemporaryVmcore before_file(forty_chunks());
  Vmcore before = std::move(Vmcore::open(before_file.path()).value());
  VmcoreBuilder gone;
  gone.add_ram(0, 39 * kChunkPages * kPageBytes);  // more pages: every digest but one changes
  TemporaryVmcore after_file(gone);
  Vmcore after = std::move(Vmcore::open(after_file.path()).value());
  Frames result = frames_of(after, plan_of(before), Compression::kZstd, 2);
  CHECK(result.counts.changed_chunks == 20);
  CHECK(result.counts.missing == 20 * 10);
  std::vector<std::byte> pages(200 * kPageBytes);
  FrameDecompressor decompressor = std::move(FrameDecompressor::create(Compression::kZstd).value());
  REQUIRE(decompressor.decompress(result.frames.back(), pages).ok());
  for (size_t page = 0; page < 200; ++page)
    CHECK(is_missing_page(std::span(pages).subspan(page * kPageBytes, kPageBytes)));
}
