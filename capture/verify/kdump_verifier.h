// Verifies a kdump file: by its list of checksums, if it has one, and by its pages' own checksums.
//
// Each piece of the file is read once, in the order of the list, by all threads; then the pages
// that the list does not speak for; then the descriptors are walked to tell which pages the damage
// takes. Memory: 320 KiB per TiB of the dump's RAM, DamagedData, and for each thread a batch of
// pages (1 MiB) with a decompressor.
// Thread safety: one thread calls it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/result.h"
#include "capture/format/kdump_file.h"
#include "capture/verify/chunk_index.h"
#include "capture/verify/chunk_set.h"
#include "capture/verify/findings.h"
#include "capture/verify/list_cursor.h"
#include "capture/verify/list_summary.h"
#include "capture/verify/page_checker.h"

namespace dw {

class KdumpVerifier {
 public:
  struct Options {
    unsigned threads = 1;
    bool named_whole = false;  // the file's name is that of a whole dump
  };

  // All must outlive it. Error kNoMemory.
  static Result<std::unique_ptr<KdumpVerifier>> create(const KdumpFile& file, Options options,
                                                       Findings& findings);

  // Whether the list is of this dump, whatever else of either is damaged.
  [[nodiscard]] bool owns(const ListSummary& list);
  // Checks all that the list speaks for.
  Status check_by_list(const FileView& list_file, const ListSummary& list);
  // Checks the pages that it did not.
  Status check_rest();
  // Tells which pages are damaged, and fills in the report.
  Status tell();

 private:
  // What each thread has.
  struct Worker {
    PageChecker checker;
    ChunkIndex index;
    std::vector<PageDescriptor> descriptors;
    JournalRecord record;
    std::vector<uint32_t> chunks;
  };

  KdumpVerifier(const KdumpFile& file, Options options, Findings& findings)
      : file_(&file), options_(options), findings_(&findings) {}

  Result<Worker> make_worker();
  Result<uint64_t> digest_of(ByteReader& reader, uint64_t offset, uint64_t length);

  Status check_first_block();
  Status work_on_list(ListCursor& cursor);
  Result<bool> take(ListCursor& cursor, Worker& worker);
  Status check_head_piece(Worker& worker);
  [[nodiscard]] uint64_t zero_page_offset() const;
  Status check_zero_page(Worker& worker);
  Status check_batch(Worker& worker);
  // Reads the batch's descriptors and compares their digest.
  Status load_table(Worker& worker);
  size_t check_own_pages(Worker& worker, Bytes data);
  void blame(const Worker& worker, size_t wrong);
  [[nodiscard]] bool may_be_unsettled(const Worker& worker) const;
  [[nodiscard]] const char* head_part_name(uint64_t begin, uint64_t end) const;

  Status work_on_rest();

  const KdumpFile* file_;
  Options options_;
  Findings* findings_;
  std::unique_ptr<ByteReader> reader_;
  std::optional<ListSummary> list_;
  bool table_usable_ = true;  // the second bitmap is as the list knows it
  ChunkSet seen_;             // the list speaks for them
  ChunkSet distrusted_;       // their descriptors are not as the list says
  std::mutex list_mutex_;
  std::atomic<uint64_t> seen_pages_ = 0;
  std::atomic<uint64_t> next_block_ = 0;  // of the second bitmap
};

}  // namespace dw
