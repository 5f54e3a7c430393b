// Which pages of an ELF core's chunk hold anything, and their digest: what the journal says of
// them. Whoever continues a core and whoever verifies one read it like this.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "capture/base/buffer.h"
#include "capture/base/bytes.h"
#include "capture/base/result.h"
#include "capture/codec/running_digest.h"
#include "capture/format/elf_layout.h"
#include "capture/plan/plan.h"

namespace dw {

class ElfPages {
 public:
  // `layout` must outlive it. Error kNoMemory.
  static Result<ElfPages> create(const ElfLayout& layout);

  // Adds the chunk's pages that are not all zeros to `digest`, and notes them in `stored`.
  // read_at(offset in the file, bytes) reads. False if one of them cannot be read.
  template <typename ReadAt>
  [[nodiscard]] bool read_chunk(uint64_t first_pfn, const ReadAt& read_at, RunningDigest& digest,
                                ChunkBits& stored);

  // What is read at once, for other uses too.
  [[nodiscard]] MutableBytes buffer() { return buffer_.bytes(); }

 private:
  static constexpr unsigned kReadPages = 64;

  ElfPages(const ElfLayout& layout, Buffer buffer) : layout_(&layout), buffer_(std::move(buffer)) {}

  void add(uint64_t first_pfn, Bytes pages, RunningDigest& digest, ChunkBits& stored) const;

  const ElfLayout* layout_;
  Buffer buffer_;  // kReadPages
};

template <typename ReadAt>
bool ElfPages::read_chunk(uint64_t first_pfn, const ReadAt& read_at, RunningDigest& digest,
                          ChunkBits& stored) {
  uint64_t page_size = layout_->page_size();
  uint64_t end = first_pfn + kChunkPages;
  for (uint64_t begin = first_pfn; begin < end;) {
    std::optional<ElfLayout::Run> run = layout_->next_run(begin, end);
    if (!run) break;
    unsigned count = std::min(kReadPages, run->count);
    MutableBytes pages = buffer_.bytes().first(count * page_size);
    if (!read_at(run->offset, pages).ok()) return false;
    add(run->first_pfn, pages, digest, stored);
    begin = run->first_pfn + count;
  }
  return true;
}

}  // namespace dw
