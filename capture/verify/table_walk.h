// Walks the descriptors of a kdump file in order of page frame and tells which pages are damaged,
// missing or there, once the data was checked.
// Thread safety: one thread; everything it is given must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/result.h"
#include "capture/format/kdump_file.h"
#include "capture/verify/chunk_index.h"
#include "capture/verify/chunk_set.h"
#include "capture/verify/findings.h"

namespace dw {

// Bits of the first bitmap.
Result<uint64_t> count_ram_pages(const KdumpFile& file, ByteReader& reader);

class TableWalk {
 public:
  struct Vouched {
    ChunkSet& chunks;               // whose pages a list of checksums speaks for
    ChunkSet& distrusted;           // those whose descriptors are not what it says
    uint64_t zero_page_offset = 0;  // of the page of zeros that it speaks for; 0: of none
    bool all_checked = false;       // data of every page has been compared with a checksum
  };
  TableWalk(const KdumpFile& file, ByteReader& reader, const Vouched& vouched, Findings& findings);

  Status tell_pages();
  // Where descriptors cannot be told apart: all pages of distrusted chunks are damaged.
  Status tell_chunks();

 private:
  // Of one page, with the place to tell.
  struct Verdict {
    std::optional<Damage> damage;
    bool there = false;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  Status walk_chunk(const IndexedChunk& chunk);
  [[nodiscard]] Verdict judge(const PageDescriptor& descriptor, uint64_t rank, bool trusted) const;
  void take(uint64_t pfn, const Verdict& verdict);
  void flush();

  const KdumpFile* file_;
  ByteReader* reader_;
  Vouched vouched_;
  Findings* findings_;
  ChunkIndex index_;
  bool whole_;
  std::vector<PageDescriptor> descriptors_;
  std::optional<DamagedPages> run_;
};

}  // namespace dw
