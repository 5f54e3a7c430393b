// A fuzzer's input as a dump of any format: pages are read from it, and nothing must come of it.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/format/dump_source.h"
#include "capture/format/kdump_reader.h"

namespace dw::fuzz {

// Of a dump with longer bitmaps than `most_bitmap_bytes` none.
inline void read_pages(Fd fd, uint64_t most_bitmap_bytes = UINT64_MAX) {
  Result<OpenDump> dump = open_dump(std::move(fd));
  if (!dump.ok() || dump->file->layout().bitmap_size > most_bitmap_bytes) return;
  Result<KdumpReader> reader = KdumpReader::create(dump->file);
  if (!reader.ok()) return;
  (void)reader->summarize();
  std::vector<std::byte> pages(KdumpReader::kMaxRun * reader->layout().block_size);
  for (uint64_t pfn = 0; pfn < 1024; pfn += KdumpReader::kMaxRun)
    (void)reader->read_pages(pfn, KdumpReader::kMaxRun, pages);
}

}  // namespace dw::fuzz
