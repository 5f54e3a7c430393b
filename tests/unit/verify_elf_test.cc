#include <doctest/doctest.h>

#include <vector>

#include "capture/verify/list_summary.h"
#include "tests/unit/support/capture.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/verified.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr CaptureSettings kElf{.format = DumpFormat::kElf,
                               .compression = {.compression = Compression::kNone}};

}  // namespace

TEST_CASE("verify: an undamaged ELF core is intact, with any number of threads") {
  for (const VmcoreBuilder& builder : {two_chunks(), small_crash(), large_crash(3)}) {
    DumpImages images = saved(builder, kElf);
    for (unsigned threads : {1U, 3U}) {
      VerifyOutcome outcome = verify(images, true, threads);
      CHECK_MESSAGE(outcome.status() == 0, text_of(outcome));
      CHECK(outcome.report.has_list);
      CHECK(outcome.report.there == known_pages(builder).size());
    }
  }
}

TEST_CASE("verify: any flipped bit of an ELF core or its list is told") {
  DumpImages images = saved(two_chunks(), kElf);
  VerifySubject subject(images);
  // Every byte of the head and of the list; of the pages, which are longer, one in some.
  size_t pages = images.dump.size() - size_t{262} * kPageBytes;
  for (size_t byte = 0; byte < images.dump.size(); byte += byte < pages ? 1 : 509) {
    subject.flip(false, byte, byte % 8);
    VerifyOutcome outcome = subject.verify();
    CHECK_MESSAGE(outcome.status() == 1, byte << ": " << text_of(outcome));
    subject.flip(false, byte, byte % 8);
  }
  check_every_flip(images, true, 0, images.list.size(), true);
}

TEST_CASE("verify: of an incomplete ELF core, what its list vouches for") {
  DumpImages images;
  for (uint64_t call = 0; call < 60; ++call) {
    DumpImages some = interrupted(two_chunks(), kElf, call);
    if (some.dump.empty()) continue;
    VerifyOutcome outcome = verify(some, false);
    CHECK_MESSAGE(outcome.status() != 1, "call " << call << ": " << text_of(outcome));
    if (outcome.report.there == 131) images = some;
  }
  REQUIRE_FALSE(images.dump.empty());
  VerifyOutcome outcome = verify(images, false);
  CHECK(outcome.status() == 3);
  CHECK(outcome.report.missing == 131);
  images.dump[images.dump.size() - size_t{262} * kPageBytes + 700] ^= std::byte{1};
  outcome = verify(images, false);
  REQUIRE_MESSAGE(outcome.pages.size() == 1, text_of(outcome));
  CHECK(outcome.pages[0].first_pfn == 8);
  CHECK(outcome.pages[0].last_pfn == 8 + 130);
  CHECK(outcome.report.damaged == 131);
}

TEST_CASE("verify: without a list nothing speaks for an ELF core") {
  DumpImages images = saved(two_chunks(), kElf);
  images.list.clear();
  VerifyOutcome outcome = verify(images);
  CHECK(outcome.status() == 0);
  CHECK(outcome.report.unchecked == 262);
  CHECK(outcome.notes.size() == 1);
  CHECK(verify(images, false).status() == 3);
  images.dump.resize(images.dump.size() - 10);
  CHECK(verify(images).status() == 1);
}
