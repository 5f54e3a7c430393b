// Walks a dump's list of checksums (journal/journal.md) to its end, past records that are damaged.
//
// JournalReader stops where a record is not whole. Here it is told why: because nothing more was
// written, or because what was written is damaged; then the walk goes on with the next whole one.
// Everything is untrusted. Thread safety: one thread. The descriptor must outlive it.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/base/result.h"
#include "capture/journal/journal_reader.h"

namespace dw {

class ListCursor {
 public:
  // Errors as JournalReader::open().
  static Result<ListCursor> open(const FileView& file);

  [[nodiscard]] const JournalHeader& header() const { return reader_.header(); }
  [[nodiscard]] uint64_t size() const { return reader_.size(); }

  // The next whole record, or nothing where there are no more.
  Result<std::optional<JournalEntry>> next();

  // Places so far where something stands that is no whole record, and the first of them.
  [[nodiscard]] uint64_t damaged() const { return damaged_; }
  [[nodiscard]] uint64_t first_damaged_at() const { return first_damaged_at_; }
  // Those that a power cut explains: a sector of the record was never written, or the list ends in
  // it. They are no damage of a list that was not finished.
  [[nodiscard]] uint64_t torn() const { return torn_; }

 private:
  ListCursor(FileView file, JournalReader reader) : file_(file), reader_(std::move(reader)) {}

  Result<std::optional<JournalEntry>> find_next(uint64_t position);
  Status note_broken(uint64_t position);
  Result<bool> looks_torn(uint64_t position);

  FileView file_;
  JournalReader reader_;
  uint64_t content_end_ = 0;  // behind it stand zeros
  uint64_t damaged_ = 0;
  uint64_t first_damaged_at_ = 0;
  uint64_t torn_ = 0;
};

}  // namespace dw
