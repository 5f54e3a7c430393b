// Verifies an ELF core, which has no checksums of its own, by its list of checksums: the digests
// of its batches' pages, and that everywhere else it reads as zeros.
//
// Memory: 256 KiB per TiB of RAM, and 1 MiB for each thread. Thread safety: one thread calls it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "capture/base/result.h"
#include "capture/codec/running_digest.h"
#include "capture/format/elf_layout.h"
#include "capture/format/elf_pages.h"
#include "capture/source/vmcore.h"
#include "capture/verify/chunk_set.h"
#include "capture/verify/findings.h"
#include "capture/verify/list_cursor.h"
#include "capture/verify/list_summary.h"

namespace dw {

class ElfVerifier {
 public:
  // `core` and `findings` must outlive it. Error kNoMemory.
  static Result<ElfVerifier> create(const Vmcore& core, unsigned threads, Findings& findings);

  // Whether the list is of this core, whatever else of either is damaged.
  [[nodiscard]] bool owns(const ListSummary& list) const;
  Status check_by_list(const FileView& list_file, const ListSummary& list);
  // Checks that there is nothing where the list has no pages.
  Status check_rest();
  // Tells which pages are damaged, and fills in the report. `named_whole`: by the file's name it
  // is, which is all that tells it without a list.
  void tell(bool named_whole);

 private:
  struct Worker {
    ElfPages pages;
    JournalRecord record;
    std::vector<uint32_t> chunks;
    std::vector<ChunkBits> stored;
  };

  ElfVerifier(const Vmcore& core, unsigned threads, Findings& findings, const ElfLayout& layout)
      : core_(&core), threads_(threads), findings_(&findings), layout_(layout) {}

  Result<Worker> make_worker() const;
  void check_size();
  Status work_on_list(ListCursor& cursor);
  Result<bool> take(ListCursor& cursor, Worker& worker);
  void check_head_piece(const JournalRecord& record);
  void check_batch(Worker& worker);
  // Digests the pages of a chunk that hold anything, and notes which ones; false if one cannot be
  // read.
  bool read_chunk(uint64_t chunk, ElfPages& pages, RunningDigest& digest, ChunkBits& stored) const;
  Status work_on_rest();
  [[nodiscard]] bool is_hole(uint64_t chunk) const;
  [[nodiscard]] DamagedPages pages_of(uint64_t chunk) const;

  const Vmcore* core_;
  unsigned threads_;
  Findings* findings_;
  ElfLayout layout_;
  std::optional<ListSummary> list_;
  uint64_t chunks_ = 0;
  ChunkSet seen_;  // the list speaks for them
  ChunkSet damaged_;
  std::unique_ptr<std::mutex> list_mutex_ = std::make_unique<std::mutex>();
  std::unique_ptr<std::atomic<uint64_t>> next_chunk_ = std::make_unique<std::atomic<uint64_t>>(0);
};

}  // namespace dw
