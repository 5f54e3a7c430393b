// Targets that are a directory of the initrd itself: nearly always a mistake.
//
// The initrd's own folders are memory. A dump in them looks saved and is gone with the reboot.
// Thread safety: plain functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

// The directory that `target` names, as DIR or file:DIR; nothing for any other kind of target.
std::optional<std::string> directory_of_target(std::string_view target);

// kUsage: it lies in memory (rootfs, ramfs or tmpfs), or would, once it is made.
Status refuse_memory(const std::string& directory);

}  // namespace dw
