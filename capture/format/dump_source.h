// Opens a dump whatever its clothes are: what it is, its content tells, not its name.
// Thread safety: pure, but for the files.
#pragma once

#include <cstdint>
#include <memory>

#include "capture/base/byte_source.h"
#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/format/kdump_file.h"

namespace dw {

enum class DumpKind : uint8_t { kKdump, kFlattened, kZstdStream, kLz4Stream, kElf, kUnknown };

// "kdump", "flattened", "stream zstd", "stream lz4", "elf", "unknown".
[[nodiscard]] const char* name_of(DumpKind kind);

// By the first bytes of the file.
Result<DumpKind> dump_kind(const FileView& file);

struct OpenDump {
  DumpKind kind;
  std::shared_ptr<const KdumpFile> file;
};

// A kdump file as it is, flattened, or in a stream. Error kBadInput for everything else, ELF too.
Result<OpenDump> open_dump(ReadableFile file);

}  // namespace dw
