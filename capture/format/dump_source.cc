#include "capture/format/dump_source.h"

#include <elf.h>

#include <utility>

#include "capture/format/flattened_file.h"
#include "capture/format/kdump_reader.h"
#include "capture/format/stream_file.h"
#include "capture/format/stream_format.h"

namespace dw {

namespace {

Result<std::unique_ptr<ByteSource>> open_source(DumpKind kind, ReadableFile file) {
  switch (kind) {
    case DumpKind::kKdump: {
      DW_ASSIGN(auto source, FileSource::open(std::move(file)));
      return std::unique_ptr<ByteSource>(std::move(source));
    }
    case DumpKind::kFlattened: {
      DW_ASSIGN(auto source, FlattenedFile::open(std::move(file)));
      return std::unique_ptr<ByteSource>(std::move(source));
    }
    case DumpKind::kZstdStream:
    case DumpKind::kLz4Stream: {
      DW_ASSIGN(auto source, StreamFile::open(std::move(file)));
      return std::unique_ptr<ByteSource>(std::move(source));
    }
    case DumpKind::kElf:
    case DumpKind::kUnknown:
      break;
  }
  return Error(ErrorKind::kBadInput, "not a dump")
      .hint("a kdump file, a flattened one, or a zstd or LZ4 stream of one is");
}

}  // namespace

const char* name_of(DumpKind kind) {
  switch (kind) {
    case DumpKind::kKdump:
      return "kdump";
    case DumpKind::kFlattened:
      return "flattened";
    case DumpKind::kZstdStream:
      return "stream zstd";
    case DumpKind::kLz4Stream:
      return "stream lz4";
    case DumpKind::kElf:
      return "elf";
    case DumpKind::kUnknown:
      break;
  }
  return "unknown";
}

Result<DumpKind> dump_kind(const FileView& file) {
  DW_ASSIGN(bool kdump, KdumpReader::recognizes(file));
  if (kdump) return DumpKind::kKdump;
  DW_ASSIGN(bool flattened, FlattenedFile::recognizes(file));
  if (flattened) return DumpKind::kFlattened;
  std::byte start[4] = {};
  DW_ASSIGN(size_t n, read_up_to_at(file, start, 0));
  if (n < sizeof(start)) return DumpKind::kUnknown;
  if (std::memcmp(start, ELFMAG, SELFMAG) == 0) return DumpKind::kElf;
  uint32_t magic = load<uint32_t>(start, 0);
  if (magic == kZstdFrameMagic) return DumpKind::kZstdStream;
  if (magic == kLz4FrameMagic) return DumpKind::kLz4Stream;
  return DumpKind::kUnknown;
}

Result<OpenDump> open_dump(ReadableFile file) {
  DW_ASSIGN(DumpKind kind, dump_kind(file.get()));
  DW_ASSIGN(std::unique_ptr<ByteSource> source, open_source(kind, std::move(file)));
  DW_ASSIGN(std::shared_ptr<const KdumpFile> dump, KdumpFile::open(std::move(source)));
  return OpenDump{.kind = kind, .file = std::move(dump)};
}

}  // namespace dw
