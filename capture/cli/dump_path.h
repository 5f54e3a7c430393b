// Where a dump that the user named stands. Thread safety: pure, but for the file system.
#pragma once

#include <string>

#include "capture/base/result.h"

namespace dw {

// `path` itself, or the dump in it if it is a directory: a whole one before an incomplete one.
Result<std::string> find_dump(const std::string& path);

}  // namespace dw
