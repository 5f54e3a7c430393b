// The records of a journal that is in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "capture/journal/journal_reader.h"

namespace dw::test {

struct ListedPiece {
  JournalRecord record;
  uint64_t end;  // of the record in the list
};

// Up to the first that is not whole; none if it has no header.
inline std::vector<ListedPiece> pieces_of(const std::vector<std::byte>& journal) {
  std::vector<ListedPiece> pieces;
  auto read = [&journal](uint64_t offset, MutableBytes into) -> Status {
    std::ranges::copy(Bytes(journal).subspan(offset, into.size()), into.begin());
    return {};
  };
  Result<JournalReader> reader = JournalReader::open(read, journal.size());
  if (!reader.ok()) return pieces;
  for (auto entry = reader->next(); entry.ok() && *entry; entry = reader->next())
    pieces.push_back({.record = (*entry)->record, .end = (*entry)->end()});
  return pieces;
}

}  // namespace dw::test
