#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "capture/journal/journal_reader.h"
#include "capture/journal/journal_writer.h"
#include "capture/target/memory_target.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

using Image = std::vector<std::byte>;

JournalHeader some_header() {
  JournalHeader header;
  header.identity = 77;
  header.level = -3;
  return header;
}

JournalRecord piece(uint64_t offset, uint32_t length) {
  return {.offset = offset, .length = length, .kind = PieceKind::kPages, .digest = offset * 3};
}

std::vector<PlannedChunk> chunks(std::initializer_list<uint64_t> indices) {
  std::vector<PlannedChunk> list;
  for (uint64_t index : indices)
    list.push_back({.first_pfn = index * kChunkPages, .rank = 0, .kept = 1});
  return list;
}

// Header, three records with 0, 3 and 2 chunks.
MemoryTarget& write_some(MemoryTarget& target) {
  JournalWriter journal(target, some_header());
  journal.add(piece(0, 10));
  journal.add(piece(10, 20), chunks({5, 6, 900}));
  journal.add(piece(30, 1), chunks({7, 8}));
  REQUIRE(journal.flush().ok());
  return target;
}

Result<JournalReader> open_image(const Image& image) {
  return JournalReader::open(
      [&image](uint64_t offset, MutableBytes into) -> Status {
        REQUIRE(offset + into.size() <= image.size());
        if (!into.empty()) std::memcpy(into.data(), image.data() + offset, into.size());
        return {};
      },
      image.size());
}

// How many records are whole.
size_t count_records(const Image& image) {
  Result<JournalReader> reader = open_image(image);
  if (!reader.ok()) return 0;
  size_t count = 0;
  for (; true; ++count) {
    Result<std::optional<JournalEntry>> entry = reader->next();
    REQUIRE(entry.ok());
    if (!*entry) return count;
    REQUIRE((*entry)->end() == reader->end());
  }
}

}  // namespace

TEST_CASE("journal: what was written is read") {
  MemoryTarget target;
  Result<JournalReader> reader = JournalReader::open(write_some(target));
  REQUIRE(reader.ok());
  CHECK(reader->header().identity == 77);
  CHECK(reader->header().level == -3);
  std::optional<JournalEntry> first = reader->next().value();
  REQUIRE(first);
  CHECK(first->record.length == 10);
  CHECK(first->chunks.empty());
  uint64_t second_at = reader->end();
  std::optional<JournalEntry> second = reader->next().value();
  REQUIRE(second);
  CHECK(second->record.digest == 30);
  CHECK(second->chunks.size() == 3);
  CHECK(second->chunks[2] == 900);
  CHECK(reader->next().value()->chunks[1] == 8);
  CHECK_FALSE(reader->next().value().has_value());
  CHECK(reader->end() == target.sums().size());
  reader->go_to(second_at);
  CHECK(reader->next().value()->chunks[0] == 5);
}

TEST_CASE("journal: nothing is written before a record is flushed, and no more than is asked for") {
  MemoryTarget target;
  JournalWriter journal(target, some_header());
  REQUIRE(journal.flush().ok());
  journal.mark();
  REQUIRE(journal.flush_marked().ok());
  CHECK(target.sums().empty());
  journal.add(piece(0, 10));
  journal.mark();
  journal.add(piece(10, 10), chunks({1}));
  CHECK(target.sums().empty());
  REQUIRE(journal.flush_marked().ok());
  CHECK(count_records(target.sums()) == 1);
  REQUIRE(journal.flush_marked().ok());
  CHECK(count_records(target.sums()) == 1);
  REQUIRE(journal.flush().ok());
  CHECK(count_records(target.sums()) == 2);
  CHECK(journal.flushed() == target.sums().size());
}

TEST_CASE("journal: a list cut anywhere ends before the record that was cut") {
  MemoryTarget target;
  const Image whole = write_some(target).sums();
  size_t ends[] = {sizeof(JournalHeader) + record_bytes(0), 0, 0};
  ends[1] = ends[0] + record_bytes(3);
  ends[2] = ends[1] + record_bytes(2);
  REQUIRE(ends[2] == whole.size());
  for (size_t size = 0; size <= whole.size(); ++size) {
    CAPTURE(size);
    Image cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    size_t expected = 0;
    for (size_t end : ends) expected += size >= end ? 1 : 0;
    CHECK(count_records(cut) == expected);
    cut.resize(whole.size() + 500);  // room that was made with zeros
    size_t with_room = 0;
    for (size_t end : ends)
      with_room +=
          std::equal(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(end), cut.begin()) ? 1
                                                                                              : 0;
    CHECK(count_records(cut) == with_room);
  }
}

TEST_CASE("journal: no flipped bit goes unseen") {
  MemoryTarget target;
  const Image whole = write_some(target).sums();
  REQUIRE(count_records(whole) == 3);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Image damaged = whole;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    if (count_records(damaged) == 3) FAIL("bit " << bit);
  }
}

TEST_CASE("journal: a record in another place, or behind another header, is none") {
  MemoryTarget target;
  const Image whole = write_some(target).sums();
  Image moved = whole;
  size_t size = record_bytes(0);
  moved.insert(moved.begin() + sizeof(JournalHeader), whole.begin() + sizeof(JournalHeader),
               whole.begin() + static_cast<ptrdiff_t>(sizeof(JournalHeader) + size));
  CHECK(count_records(moved) == 1);
  Image other = whole;
  JournalHeader header = some_header();
  header.identity = 78;
  header.check = journal_check(header);
  store(other, 0, header);
  CHECK(count_records(other) == 0);
}

TEST_CASE("journal: a list that goes on behind a torn tail") {
  MemoryTarget target;
  write_some(target);
  JournalWriter journal(target, some_header());
  uint64_t second = sizeof(JournalHeader) + record_bytes(0);
  REQUIRE(journal.go_on_at(second).ok());
  CHECK(count_records(target.sums()) == 1);
  journal.add(piece(10, 99), chunks({1, 2, 3, 4}));
  REQUIRE(journal.flush().ok());
  CHECK(count_records(target.sums()) == 2);
}

TEST_CASE("journal: what is no list is refused") {
  CHECK(contains(text_of(open_image({})), "not a list of checksums"));
  CHECK(contains(text_of(open_image(Image(200))), "not a list of checksums"));
  Image newer(sizeof(JournalHeader));
  JournalHeader header = some_header();
  header.version = kJournalVersion + 1;
  header.check = journal_check(header);
  store(newer, 0, header);
  CHECK(contains(text_of(open_image(newer)), "another version"));
}

TEST_CASE("journal: records that make no sense end the list, whatever their check says") {
  MemoryTarget target;
  write_some(target);
  JournalRecord bad[] = {piece(0, kMaxPieceBytes + 1), piece(UINT64_MAX, 2), piece(0, 1)};
  bad[2].kind = static_cast<PieceKind>(99);
  for (const JournalRecord& record : bad) {
    MemoryTarget list;
    JournalWriter journal(list, some_header());
    journal.add(piece(0, 1));
    journal.add(record);
    REQUIRE(journal.flush().ok());
    CHECK(count_records(list.sums()) == 1);
  }
}

TEST_CASE("journal: there is room for a checkpoint's records, and an end of it") {
  MemoryTarget target;
  JournalWriter journal(target, some_header());
  std::vector<PlannedChunk> most(kMaxRecordChunks, {.first_pfn = 256, .rank = 0, .kept = 1});
  for (int checkpoint = 0; checkpoint < 5; ++checkpoint) {
    size_t added = 0;
    for (; journal.has_room(most.size()); ++added) journal.add(piece(0, 1), most);
    CHECK(added > 64);
    REQUIRE(journal.flush_marked().ok());
    journal.mark();
  }
  size_t bytes = JournalWriter::memory_bytes();
  REQUIRE(journal.flush().ok());
  CHECK(count_records(target.sums()) > 3 * bytes / 2 / record_bytes(most.size()) - 10);
}
