#include "capture/format/writer_factory.h"

#include <utility>

#include "capture/format/flattened_writer.h"
#include "capture/format/journal_header.h"
#include "capture/format/kdump_writer.h"

namespace dw {

namespace {

template <typename Writer>
Result<std::unique_ptr<DumpWriter>> as_dump_writer(Result<std::unique_ptr<Writer>> made) {
  if (!made.ok()) return made.error();
  return std::unique_ptr<DumpWriter>(std::move(*made));
}

}  // namespace

Status check_compression(DumpFormat format, Compression compression) {
  Error error(ErrorKind::kUsage, "this format has no such compression");
  error.on(name_of(compression));
  switch (format) {
    case DumpFormat::kKdump:
    case DumpFormat::kFlattened:
      if (compression == Compression::kLz4)
        return error.hint("use zstd or zlib, or lz4 with --format stream");
      return {};
    case DumpFormat::kStream:
      if (compression == Compression::kZlib)
        return error.hint("use zstd or lz4, or zlib with --format kdump or flattened");
      return {};
    case DumpFormat::kElf:
      if (compression != Compression::kNone)
        return error.hint("an ELF core is not compressed; use --compress none");
      return {};
  }
  return {};
}

Status check_target(DumpFormat format, bool rewritable) {
  Error error(ErrorKind::kUsage, "the target cannot take this format");
  error.on(name_of(format));
  if (rewritable && format == DumpFormat::kFlattened)
    return error.hint("flattened is for standard output; a directory takes kdump, stream or elf");
  if (!rewritable && (format == DumpFormat::kKdump || format == DumpFormat::kElf))
    return error.hint("it is not written from front to back; use stream or flattened");
  return {};
}

Result<std::unique_ptr<DumpWriter>> make_dump_writer(const WriterOptions& options,
                                                     const DumpDescription& description,
                                                     Target& target) {
  DW_TRY(check_compression(options.format, options.compression.compression));
  DW_TRY(check_target(options.format, target.rewritable()));
  KdumpDescription kdump = description.kdump;
  kdump.compression = options.compression.compression;
  switch (options.format) {
    case DumpFormat::kKdump:
      return as_dump_writer(
          KdumpWriter::create(target, kdump, options.compression, options.page_size));
    case DumpFormat::kFlattened:
      return as_dump_writer(FlattenedWriter::create(target, kdump, options.page_size));
    case DumpFormat::kStream:
      return as_dump_writer(StreamWriter::create(target, kdump, options.compression,
                                                 options.page_size, description.presence));
    case DumpFormat::kElf:
      return as_dump_writer(ElfWriter::create(
          target, description.elf,
          make_journal_header(kdump, DumpFormat::kElf, options.compression, options.page_size)));
  }
  return Error(ErrorKind::kUnsupported, "no such format");
}

CodingOptions coding_for(const WriterOptions& options, bool share_zero_pages) {
  if (options.format == DumpFormat::kStream)
    return {.coding = Coding::kFrames, .compression = options.compression};
  // Zero pages of a core are holes at any dump level: they read the same.
  if (options.format == DumpFormat::kElf)
    return {.compression = {.compression = Compression::kNone}, .share_zero_pages = true};
  return {.compression = options.compression, .share_zero_pages = share_zero_pages};
}

bool can_share_pages(DumpFormat format) {
  return format == DumpFormat::kKdump || format == DumpFormat::kFlattened;
}

bool keeps_bitmap(DumpFormat format) { return format == DumpFormat::kKdump; }

size_t writer_memory_bytes(const WriterOptions& options) {
  switch (options.format) {
    case DumpFormat::kKdump:
      return KdumpWriter::memory_bytes(options.page_size);
    case DumpFormat::kFlattened:
      return FlattenedWriter::memory_bytes(options.page_size);
    case DumpFormat::kStream:
      return StreamWriter::memory_bytes(options.compression);
    case DumpFormat::kElf:
      return ElfWriter::memory_bytes();
  }
  return 0;
}

}  // namespace dw
