// A dump that the user named: a file, a directory, or a partition (raw:/dev/X), open to be read.
// Thread safety: as ReadableFile.
#pragma once

#include <optional>
#include <string>

#include "capture/base/fd.h"
#include "capture/base/result.h"
#include "capture/target/raw/raw_contents.h"

namespace dw {

struct NamedDump {
  std::string path;  // of the dump's file, for messages
  ReadableFile file;
  std::optional<RawContents> raw;  // if it stands on a partition

  // Whether it is called what a whole dump is called.
  [[nodiscard]] bool named_whole() const;
  // The file `name` beside it. ENOENT if there is none.
  Result<ReadableFile> open_beside(const std::string& name) const;
};

// `argument` itself, or the dump in it if it is a directory: a whole one before an incomplete one.
Result<NamedDump> open_named_dump(const std::string& argument);

// The partition of `argument`, which begins with raw:, whatever is on it. Errors as
// RawContents::open(), and kUsage.
Result<RawContents> open_raw_argument(const std::string& argument);

[[nodiscard]] bool is_raw_argument(const std::string& argument);

}  // namespace dw
