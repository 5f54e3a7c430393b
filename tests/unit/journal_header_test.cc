#include "capture/format/journal_header.h"

#include <doctest/doctest.h>

#include <vector>

using namespace dw;

TEST_CASE("journal_header: the identity depends on the notes and on the memory") {
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

TEST_CASE("journal_header: it tells what shapes the dump") {
  KdumpDescription description;
  description.dump_level = 31;
  JournalHeader header = make_journal_header(description, DumpFormat::kStream, {.level = -3}, 4096);
  CHECK(header.format == 1);
  CHECK(header.compression == 1);
  CHECK(header.level == -3);
  CHECK(header.dump_level == 31);
  CHECK(header.page_size == 4096);
  CHECK(header.check == journal_check(header));
}
