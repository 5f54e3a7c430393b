// Makes the writer of a format, and tells what the pipeline has to do for it.
// Thread safety: pure functions.
#pragma once

#include <memory>
#include <span>

#include "capture/base/result.h"
#include "capture/format/dump_format.h"
#include "capture/format/dump_writer.h"
#include "capture/format/elf_writer.h"
#include "capture/format/kdump_headers.h"
#include "capture/format/stream_writer.h"
#include "capture/pipeline/batch_coder.h"
#include "capture/target/target.h"

namespace dw {

struct WriterOptions {
  DumpFormat format = DumpFormat::kKdump;
  CompressionOptions compression;
  uint64_t page_size = 4096;  // bytes
};

// What is put into a dump besides pages. What is pointed to must outlive the writer.
struct DumpDescription {
  KdumpDescription kdump;  // but for its compression
  ElfDescription elf;
  Presence presence;  // for a stream
};

// Error kUsage for a compression that the format does not have.
Status check_compression(DumpFormat format, Compression compression);

// Error kUsage for a format that the target cannot take.
Status check_target(DumpFormat format, bool rewritable);

Result<std::unique_ptr<DumpWriter>> make_dump_writer(const WriterOptions& options,
                                                     const DumpDescription& description,
                                                     Target& target);

// What becomes of pages on their way to the writer. `share_zero_pages`: as the dump level says.
// Duplicates are not looked for.
[[nodiscard]] CodingOptions coding_for(const WriterOptions& options, bool share_zero_pages);
// Whether pages with the same bytes may be stored once.
[[nodiscard]] bool can_share_pages(DumpFormat format);
// DumpWriter::keeps_bitmap(), before there is a writer.
[[nodiscard]] bool keeps_bitmap(DumpFormat format);
// What the writer allocates, in bytes.
[[nodiscard]] size_t writer_memory_bytes(const WriterOptions& options);

}  // namespace dw
