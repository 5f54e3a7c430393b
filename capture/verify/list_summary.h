// What a dump's list of checksums says as a whole: how far the dump got, and whether the list
// itself is whole. Reads the list once; nothing is compared with the dump.
// Thread safety: pure, but for the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/journal/journal_format.h"
#include "capture/pipeline/batch_output.h"

namespace dw {

struct ListSummary {
  JournalHeader header;
  uint64_t size = 0;  // of the list, bytes

  std::optional<JournalRecord> first_head;  // the dump's first piece while it is incomplete
  std::optional<JournalRecord> second_head;
  std::optional<JournalRecord> sealed_head;  // the same of a whole one
  std::optional<JournalRecord> plan;
  std::optional<uint64_t> file_bytes;  // of the dump, if the list has its end

  uint64_t batches = 0;
  PageCounts pages;           // of these
  uint64_t batch_bytes = 0;   // of these, in the dump's file
  uint32_t most_content = 0;  // of a frame, bytes
  // kdump: the pieces of the head leave out what lies between these two: the descriptors. The
  // batches follow head_end without gaps, up to data_end.
  uint64_t table_begin = 0;
  uint64_t table_end = 0;
  uint64_t head_end = 0;
  uint64_t data_end = 0;

  // Positions in the list, bytes.
  std::optional<uint64_t> damaged_at;  // a record, or what stands behind the end
  std::optional<uint64_t> gap_at;      // a record that leaves out part of the dump, or repeats it
  bool torn = false;                   // a power cut left its traces

  // Of the plan; what is not known counts as none.
  [[nodiscard]] uint64_t planned_pages() const { return plan ? plan->offset : 0; }
  [[nodiscard]] uint64_t planned_batches() const { return plan ? plan->content : 0; }
  [[nodiscard]] bool damaged() const { return damaged_at || gap_at; }
};

// Errors as ListCursor::open().
Result<ListSummary> summarize_list(const FileView& list);

// Whether a piece of the head of the dump is as the list says: those of the first two have what no
// other dump has, and if both are damaged nobody can tell.
[[nodiscard]] bool is_list_of(const FileView& dump, const ListSummary& list);

// Of bytes of a file, in small pieces. Error as read_exact_at().
Result<uint64_t> digest_of_range(const FileView& file, uint64_t offset, uint64_t length);

}  // namespace dw
