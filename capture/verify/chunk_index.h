// Which pages of a chunk are in a kdump file, and where their descriptors stand: by the second
// bitmap, of which one block is kept at a time.
// Thread safety: one thread; the file and the reader must outlive it.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/base/byte_source.h"
#include "capture/base/result.h"
#include "capture/format/kdump_file.h"
#include "capture/plan/plan.h"

namespace dw {

struct IndexedChunk {
  uint64_t first_pfn = 0;
  uint64_t rank = 0;  // of its first kept page's descriptor
  unsigned kept = 0;  // pages
  ChunkBits bits{};
};

class ChunkIndex {
 public:
  ChunkIndex(const KdumpFile& file, ByteReader& reader);

  // Chunks of the whole dump: 0 to this.
  [[nodiscard]] uint64_t chunk_count() const;
  // How many stand in one block of the bitmap.
  [[nodiscard]] uint64_t chunks_per_block() const { return block_.size() / sizeof(ChunkBits); }

  // `chunk`: first page frame / kChunkPages, below chunk_count().
  Result<IndexedChunk> find(uint64_t chunk);

 private:
  Status load(uint64_t block);

  const KdumpFile* file_;
  ByteReader* reader_;
  std::vector<std::byte> block_;
  std::vector<uint32_t> before_;  // kept pages of the block before each chunk
  uint64_t loaded_ = ~uint64_t{0};
};

}  // namespace dw
