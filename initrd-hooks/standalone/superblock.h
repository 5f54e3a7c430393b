// Which file system a device holds, told from its first bytes. Everything in them is untrusted.
//
// Thread safety: plain functions.
#pragma once

#include <optional>
#include <string>

#include "capture/base/bytes.h"

namespace dw {

struct FileSystem {
  enum class Kind : uint8_t { kExt, kXfs };
  Kind kind = Kind::kExt;
  std::string uuid;   // lower case, 8-4-4-4-12
  std::string label;  // may be empty; any bytes
};

// Where the last byte that probe_superblock() looks at is, and some more.
inline constexpr size_t kProbeBytes = 4096;

// ext2, ext3 and ext4 (the kernel's fs/ext4/ext4.h, struct ext4_super_block) or xfs
// (fs/xfs/libxfs/xfs_format.h, struct xfs_dsb). Nothing: neither, or a superblock that no file
// system of that kind can have. `head` are the first bytes of the device, at most kProbeBytes.
[[nodiscard]] std::optional<FileSystem> probe_superblock(Bytes head);

}  // namespace dw
