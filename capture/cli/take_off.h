// Copies a dump off a partition, byte for byte as a capture to a directory would have written it.
// Thread safety: one thread.
#pragma once

#include <string>

#include "capture/base/result.h"
#include "capture/target/raw/raw_contents.h"

namespace dw {

// To `output`: a directory that exists gets the dump's folder, with its list of checksums and the
// files beside it; anything else is the name of the dump's file. Returns the exit status; what is
// not a whole dump gives kExitIncomplete. Nothing that exists is overwritten.
Result<int> take_off(const RawContents& raw, const std::string& output);

// The dump on the partition need not be kept. A failure is told, and costs nothing but room.
void mark_taken_off(const RawContents& raw);

[[nodiscard]] bool is_directory(const std::string& path);

}  // namespace dw
