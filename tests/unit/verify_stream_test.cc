#include <doctest/doctest.h>

#include <vector>

#include "capture/verify/list_summary.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/streams.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/verified.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr CaptureSettings kSettings[] = {
    {.format = DumpFormat::kStream, .compression = {}},
    {.format = DumpFormat::kStream, .compression = {.compression = Compression::kLz4}},
};

// One frame of pages.
VmcoreBuilder few_pages() {
  VmcoreBuilder builder;
  builder.add_cpus(1).add_vmcoreinfo(vmcoreinfo_text());
  builder.add_ram(8 * kPageBytes, 20 * kPageBytes);
  builder.fill(8 * kPageBytes, 2 * kPageBytes, 0x11).fill_random(12 * kPageBytes, 2000, 1);
  return builder;
}

BuiltStream built(Compression compression) {
  return build_stream(plain_dump().bytes, plain_dump().data_offset,
                      {.compression = compression, .frame_bytes = 4 * 4096});
}

}  // namespace

TEST_CASE("verify: an undamaged stream is intact, with any number of threads") {
  for (const CaptureSettings& settings : kSettings) {
    for (const VmcoreBuilder& builder : {two_chunks(), small_crash(), large_crash(3)}) {
      DumpImages images = saved(builder, settings);
      for (unsigned threads : {1U, 3U}) {
        VerifyOutcome outcome = verify(images, true, threads);
        CHECK_MESSAGE(outcome.status() == 0, text_of(outcome));
        CHECK(outcome.notes.empty());
        CHECK(outcome.report.has_list);
        CHECK(outcome.report.unchecked == 0);
        CHECK(outcome.report.there == known_pages(builder).size());
      }
    }
  }
}

TEST_CASE("verify: any flipped bit of a whole stream or its list is told") {
  for (const CaptureSettings& settings : kSettings) {
    DumpImages images = saved(few_pages(), settings);
    check_every_flip(images, false, 0, images.dump.size(), true);
    check_every_flip(images, true, 0, images.list.size(), true);
  }
}

TEST_CASE("verify: any flipped bit of what the list of an incomplete stream vouches for is told") {
  DumpImages images;
  uint64_t vouched = 0;
  for (uint64_t call = 0; call < 60; ++call) {
    DumpImages some = interrupted(two_chunks(), kSettings[0], call);
    if (some.dump.empty()) continue;
    VerifyOutcome outcome = verify(some, false);
    CHECK_MESSAGE(outcome.status() != 1, "call " << call << ": " << text_of(outcome));
    CHECK((outcome.status() == 3 || outcome.report.there == 262));
    ListSummary list = summarize_list(memory_file(some.list).get()).value();
    if (list.batches != 1) continue;
    images = some;
    vouched = list.data_end;
  }
  REQUIRE_FALSE(images.dump.empty());
  check_every_flip(images, false, 0, vouched, false);
  check_every_flip(images, true, 0, 64, false);
}

TEST_CASE("verify: damage of a stream is told by the pages that have it") {
  for (const CaptureSettings& settings : kSettings) {
    DumpImages images = saved(two_chunks(), settings);
    // In the frame of the second chunk, before closing frame and seek table.
    size_t at = images.dump.size() - 300;
    images.dump[at] ^= std::byte{1};
    VerifyOutcome outcome = verify(images);
    REQUIRE_MESSAGE(outcome.pages.size() == 1, text_of(outcome));
    CHECK(outcome.parts.empty());
    CHECK(outcome.pages[0].first_pfn == 256 + 8);
    CHECK(outcome.pages[0].last_pfn == 256 + 8 + 130);
    CHECK(outcome.pages[0].pages == 131);
    CHECK(outcome.pages[0].damage == Damage::kData);
    CHECK(outcome.pages[0].begin < at);
    CHECK(outcome.pages[0].begin > images.dump.size() / 4);
    CHECK(outcome.pages[0].end > at);
    CHECK(outcome.pages[0].end < images.dump.size());
    CHECK(outcome.report.there == 131);
  }
}

TEST_CASE("verify: a stream that cannot be walked is told by what its list has of it") {
  DumpImages images = saved(two_chunks(), kSettings[0]);
  // The last batch's frame begins with its magic number.
  size_t at = 0;
  for (size_t i = 4; i + 4 < images.dump.size(); ++i)
    if (load<uint32_t>(images.dump, i) == kZstdFrameMagic) at = i;
  images.dump[at] ^= std::byte{1};
  VerifyOutcome outcome = verify(images);
  REQUIRE_MESSAGE(outcome.pages.size() == 1, text_of(outcome));
  CHECK(outcome.pages[0].first_pfn == 256);
  CHECK(outcome.pages[0].last_pfn == 511);
  CHECK(outcome.pages[0].pages == 131);
  CHECK(outcome.pages[0].begin == at);
  CHECK(outcome.report.kept == 262);
  CHECK(outcome.report.there == 131);
}

TEST_CASE("verify: without a list the frames' own checksums and the closing frame speak") {
  for (Compression compression : {Compression::kZstd, Compression::kLz4}) {
    BuiltStream stream = built(compression);
    DumpImages images{.dump = stream.bytes, .list = {}};
    VerifyOutcome outcome = verify(images);
    CHECK_MESSAGE(outcome.status() == 0, text_of(outcome));
    CHECK(outcome.notes.size() == 1);
    CHECK(outcome.report.unchecked == 0);
    // All but the first frame, for whose header nothing speaks.
    size_t begin = stream.frames[0].end;
    for (size_t byte = begin; byte < stream.bytes.size(); byte += 37) {
      images.dump[byte] ^= std::byte{8};
      CHECK_MESSAGE(verify(images).status() == 1, byte);
      images.dump[byte] ^= std::byte{8};
    }
  }
}

TEST_CASE("verify: a cut stream without a list is incomplete") {
  BuiltStream stream = built(Compression::kZstd);
  size_t last = stream.frames.size() - 4;
  std::vector<std::byte> cut(
      stream.bytes.begin(), stream.bytes.begin() + static_cast<ptrdiff_t>(stream.frames[last].end));
  VerifyOutcome outcome = verify({.dump = cut, .list = {}});
  CHECK_MESSAGE(outcome.status() == 3, text_of(outcome));
  CHECK(outcome.report.missing > 0);
  CHECK(outcome.report.there > 0);
  CHECK(outcome.report.there + outcome.report.missing == plain_dump().pages.size());
}
