// Whether a device holds something that must not be overwritten: told by its well-known places.
//
// Thread safety: plain functions.
#pragma once

#include <optional>

#include "capture/base/result.h"

namespace dw {

// "holds an xfs file system" and so on; nothing if what is there is not known. `device` is open for
// reading. What cannot be read is nothing: a bad sector shall not cost the dump. With
// `own_first_sector` the first sector is ours, and not looked at.
[[nodiscard]] const char* foreign_content(int device, bool own_first_sector);

}  // namespace dw
