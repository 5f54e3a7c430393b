#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "capture/format/kdump_reader.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/verified.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr CaptureSettings kSettings[] = {
    {.compression = {}},
    {.compression = {.compression = Compression::kZlib}},
    {.compression = {.compression = Compression::kNone}},
};

KdumpReader open(const std::vector<std::byte>& dump) {
  return std::move(KdumpReader::open(memory_file(dump)).value());
}

// Of page `pfn`.
PageDescriptor descriptor_of(const std::vector<std::byte>& dump, uint64_t pfn) {
  KdumpReader reader = open(dump);
  std::array<PageDescriptor, 1> descriptor;
  REQUIRE(reader.read_descriptors(pfn, 1, descriptor).value() == 1);
  return descriptor[0];
}

}  // namespace

TEST_CASE("verify: an undamaged dump is intact, with any number of threads") {
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

TEST_CASE("verify: any flipped bit of a whole dump or its list is told") {
  for (const CaptureSettings& settings : kSettings) {
    DumpImages images = saved(two_chunks(), settings);
    check_every_flip(images, false, 0, images.dump.size(), true);
    check_every_flip(images, true, 0, images.list.size(), true);
  }
}

TEST_CASE("verify: any flipped bit of what the list of an incomplete dump vouches for is told") {
  // One of the two batches is vouched for; of the other some pages are there.
  DumpImages images;
  for (uint64_t call = 0; call < 60; ++call) {
    DumpImages some = interrupted(two_chunks(), {}, call);
    if (some.dump.empty()) continue;
    VerifyOutcome outcome = verify(some, false);
    CHECK_MESSAGE(outcome.status() != 1, "call " << call << ": " << text_of(outcome));
    CHECK((outcome.status() == 3 || outcome.report.there == 262));
    if (outcome.report.there > 131 && outcome.report.there < 262) images = some;
  }
  REQUIRE_FALSE(images.dump.empty());
  KdumpReader reader = open(images.dump);
  uint64_t of_second = reader.layout().descriptors_offset + 131 * sizeof(PageDescriptor);
  uint64_t table_end = of_second + 131 * sizeof(PageDescriptor);
  check_every_flip(images, false, 0, of_second, false);
  PageDescriptor last = descriptor_of(images.dump, 13);  // of the first batch
  check_every_flip(images, false, table_end, last.offset + last.size, false);
  check_every_flip(images, true, 0, 64, false);
}

TEST_CASE("verify: damaged data is told by the pages that have it") {
  for (const CaptureSettings& settings : kSettings) {
    DumpImages images = saved(two_chunks(), settings);
    bool own_checksums = settings.compression.compression != Compression::kNone;
    // The page with the text of the first chunk.
    PageDescriptor text = descriptor_of(images.dump, 13);
    images.dump[text.offset + text.size / 2] ^= std::byte{4};
    VerifyOutcome outcome = verify(images);
    CHECK(outcome.parts.empty());
    if (own_checksums) {
      // With the random page, which is stored as it is: nothing says that it is not that one.
      REQUIRE_MESSAGE(outcome.pages.size() == 2, text_of(outcome));
      CHECK(outcome.pages[0].first_pfn == 12);
      CHECK(outcome.pages[0].damage == Damage::kSuspect);
      CHECK(outcome.pages[1].first_pfn == 13);
      CHECK(outcome.pages[1].last_pfn == 13);
      CHECK(outcome.pages[1].pages == 1);
      CHECK(outcome.pages[1].damage == Damage::kData);
      CHECK(outcome.pages[1].begin == text.offset);
      CHECK(outcome.pages[1].end == text.offset + text.size);
      CHECK(outcome.report.there == 260);
    } else {
      REQUIRE_MESSAGE(outcome.pages.size() == 2, text_of(outcome));
      CHECK(outcome.pages[0].damage == Damage::kSuspect);
    }
  }
}

TEST_CASE("verify: pages that share damaged bytes are all told") {
  DumpImages images = saved(two_chunks(), {});
  PageDescriptor same = descriptor_of(images.dump, 8);
  REQUIRE(descriptor_of(images.dump, 9).offset == same.offset);
  images.dump[same.offset + same.size / 2] ^= std::byte{1};
  VerifyOutcome outcome = verify(images);
  REQUIRE_MESSAGE(!outcome.pages.empty(), text_of(outcome));
  CHECK(outcome.pages[0].first_pfn == 8);
  CHECK(outcome.pages[0].last_pfn == 9);
  CHECK(outcome.pages[0].pages == 2);
  CHECK(outcome.pages[0].damage == Damage::kData);

  // The page that all zero pages share: 127 of each chunk's 131.
  images = saved(two_chunks(), {});
  PageDescriptor zero = descriptor_of(images.dump, 10);
  images.dump[zero.offset] ^= std::byte{1};
  outcome = verify(images);
  REQUIRE_MESSAGE(outcome.parts.size() == 1, text_of(outcome));
  CHECK(outcome.report.damaged == 2 * 127);
}

TEST_CASE("verify: damage of descriptors, bitmaps and the head has its name") {
  DumpImages whole = saved(two_chunks(), {});
  KdumpLayout layout = open(whole.dump).layout();
  auto flipped = [&](uint64_t offset) {
    DumpImages images = whole;
    images.dump[offset] ^= std::byte{16};
    return verify(images);
  };
  VerifyOutcome table = flipped(layout.descriptors_offset + 3 * sizeof(PageDescriptor) + 20);
  REQUIRE(table.pages.size() == 1);
  CHECK(table.pages[0].first_pfn == 8);
  CHECK(table.pages[0].pages == 131);
  CHECK(table.pages[0].damage == Damage::kTable);
  auto part = [&](uint64_t offset) {
    VerifyOutcome outcome = flipped(offset);
    REQUIRE_MESSAGE(outcome.parts.size() == 1, text_of(outcome));
    return std::string(outcome.parts[0].part);
  };
  CHECK(part(20) == "header");
  CHECK(contains(part(layout.notes_offset + 5), "notes"));
  CHECK(contains(part(layout.first_bitmap_offset + 40), "bitmaps"));
  CHECK(contains(part(layout.data_offset + 3), "zero page"));
}

TEST_CASE("verify: a file that was cut, or goes on, is told") {
  DumpImages whole = saved(two_chunks(), {});
  PageDescriptor last = descriptor_of(whole.dump, 256 + 13);
  DumpImages cut = whole;
  cut.dump.resize(last.offset + 1);
  VerifyOutcome outcome = verify(cut);
  CHECK(outcome.status() == 1);
  REQUIRE(outcome.parts.size() == 1);
  CHECK(std::string(outcome.parts[0].what) == "ends too early");
  REQUIRE_MESSAGE(!outcome.pages.empty(), text_of(outcome));
  CHECK(outcome.pages.back().last_pfn == 256 + 13);
  CHECK(outcome.pages.back().damage == Damage::kUnreadable);

  DumpImages longer = whole;
  longer.dump.push_back(std::byte{0});
  outcome = verify(longer);
  CHECK(outcome.status() == 1);
  CHECK(outcome.report.damaged == 0);

  // Without a list, the pages are missed all the same.
  cut.list.clear();
  outcome = verify(cut);
  CHECK(outcome.status() == 1);
  CHECK(outcome.report.damaged == 1);
}

TEST_CASE("verify: without a list the pages' own checksums speak") {
  for (const CaptureSettings& settings : kSettings) {
    DumpImages images = saved(two_chunks(), settings);
    images.list.clear();
    VerifyOutcome outcome = verify(images);
    CHECK_MESSAGE(outcome.status() == 0, text_of(outcome));
    CHECK(outcome.notes.size() == 1);
    CHECK_FALSE(outcome.report.has_list);
    bool plain = settings.compression.compression == Compression::kNone;
    CHECK(outcome.report.unchecked == (plain ? 262 : 2 * 127 + 2));  // zeros and random pages
    if (plain) continue;
    PageDescriptor text = descriptor_of(images.dump, 13);
    images.dump[text.offset + text.size / 2] ^= std::byte{4};
    outcome = verify(images);
    CHECK(outcome.status() == 1);
    REQUIRE(outcome.pages.size() == 1);
    CHECK(outcome.pages[0].first_pfn == 13);
  }
}

TEST_CASE("verify: a list that is of another dump, cut, or goes on") {
  DumpImages whole = saved(two_chunks(), {});
  DumpImages other = whole;
  other.list = saved(small_crash(), {}).list;
  VerifyOutcome outcome = verify(other);
  CHECK(outcome.status() == 1);
  REQUIRE(outcome.parts.size() == 1);
  CHECK(contains(outcome.parts[0].what, "another dump"));
  CHECK(outcome.report.damaged == 0);

  for (size_t size = 1; size < whole.list.size(); ++size) {
    DumpImages cut = whole;
    cut.list.resize(size);
    CHECK_MESSAGE(verify(cut).status() == 1, size);
  }

  DumpImages longer = whole;
  longer.list.resize(longer.list.size() + 1000);  // room that was made for records
  CHECK(verify(longer).status() == 0);
  longer.list.back() = std::byte{1};
  CHECK(verify(longer).status() == 1);
}

TEST_CASE("verify: what is no dump") {
  CHECK_FALSE(verify({}).opened);
  CHECK_FALSE(verify({.dump = std::vector<std::byte>(5000, std::byte{7}), .list = {}}).opened);
}
