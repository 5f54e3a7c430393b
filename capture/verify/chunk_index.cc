#include "capture/verify/chunk_index.h"

#include <cstring>

#include "capture/base/checked.h"

namespace dw {

ChunkIndex::ChunkIndex(const KdumpFile& file, ByteReader& reader)
    : file_(&file),
      reader_(&reader),
      block_(file.layout().block_size),
      before_(block_.size() / sizeof(ChunkBits)) {}

uint64_t ChunkIndex::chunk_count() const { return divide_up(file_->max_mapnr(), kChunkPages); }

Status ChunkIndex::load(uint64_t block) {
  loaded_ = ~uint64_t{0};
  DW_TRY(file_->read_bitmap_block(*reader_, file_->layout().second_bitmap_offset, block, block_));
  uint32_t kept = 0;
  for (size_t i = 0; i < before_.size(); ++i) {
    before_[i] = kept;
    kept += count_bits(dw::load<ChunkBits>(block_, i * sizeof(ChunkBits)));
  }
  loaded_ = block;
  return {};
}

Result<IndexedChunk> ChunkIndex::find(uint64_t chunk) {
  DW_CHECK(chunk < chunk_count());
  uint64_t block = chunk / chunks_per_block();
  if (block != loaded_) DW_TRY(load(block));
  size_t at = chunk % chunks_per_block();
  IndexedChunk found{.first_pfn = chunk * kChunkPages,
                     .rank = file_->rank_base(block) + before_[at],
                     .kept = 0,
                     .bits = dw::load<ChunkBits>(block_, at * sizeof(ChunkBits))};
  found.kept = count_bits(found.bits);
  return found;
}

}  // namespace dw
