#include "capture/format/sums.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "capture/codec/running_digest.h"
#include "capture/format/journal_header.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

SumsHeader some_header() {
  KdumpDescription description;
  description.max_mapnr = 100;
  description.ram_pages = 50;
  return make_sums_header(description, DumpFormat::kStream, {.level = -3}, 4096);
}

}  // namespace

TEST_CASE("sums: nothing is written before the first record is flushed") {
  MemoryTarget target;
  SumsWriter sums(target, some_header());
  REQUIRE(sums.flush().ok());
  CHECK(target.sums().empty());
  sums.add({.offset = 0, .length = 10, .content = 20, .digest = 30});
  CHECK(target.sums().empty());
  REQUIRE(sums.flush().ok());
  CHECK(target.sums().size() == sizeof(SumsHeader) + sizeof(SumRecord));
  CHECK(sums.count() == 1);
  sums.add({.offset = 10, .length = 1, .content = 2, .digest = 3});
  REQUIRE(sums.flush().ok());
  std::array<SumRecord, 2> back;
  REQUIRE(sums.read(0, back).ok());
  CHECK(back[0].length == 10);
  CHECK(back[1].offset == 10);
  CHECK(back[1].digest == 3);
}

TEST_CASE("sums: a record is not taken for one of another list") {
  SumRecord record{.offset = 1, .length = 2, .content = 3, .digest = 4};
  CHECK(sums_check(record, 5) != sums_check(record, 6));
  SumRecord other = record;
  other.length = 9;
  CHECK(sums_check(record, 5) != sums_check(other, 5));
}

TEST_CASE("sums: the identity depends on the notes and on the memory") {
  std::vector<std::byte> notes(100, std::byte{7});
  KdumpDescription description;
  description.notes = notes;
  uint64_t identity = crash_identity(description);
  notes[99] = std::byte{8};
  CHECK(crash_identity(description) != identity);
  notes[99] = std::byte{7};
  CHECK(crash_identity(description) == identity);
  description.max_mapnr = 1;
  CHECK(crash_identity(description) != identity);
}

TEST_CASE("sums: what does not read back as written is an error with the offset") {
  class Lying : public MemoryTarget {
   public:
    Status read_sums(uint64_t offset, MutableBytes into) override {
      DW_TRY(MemoryTarget::read_sums(offset, into));
      into.back() ^= std::byte{1};
      return {};
    }
  };
  Lying target;
  SumsWriter sums(target, some_header());
  for (uint64_t i = 0; i < 3; ++i) sums.add({.offset = i});
  REQUIRE(sums.flush().ok());
  std::array<SumRecord, 3> back;
  Status read = sums.read(0, back);
  CHECK(contains(text_of(read), "the list of sums is not what was written at offset 0x80"));
}

TEST_CASE("running_digest: in pieces and at once") {
  std::string text(5000, 'a');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i);
  Bytes bytes = std::as_bytes(std::span(text));
  for (size_t cut : {0U, 1U, 255U, 256U, 4999U}) {
    RunningDigest digest;
    digest.add(bytes.first(cut));
    digest.add(bytes.subspan(cut));
    CHECK(digest.value() == digest64(bytes));
  }
  CHECK(digest64(bytes, 1) != digest64(bytes));
}
