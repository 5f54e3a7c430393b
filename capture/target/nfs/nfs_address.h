// Where a directory on an NFS server is, and as whom to go there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace dw {

struct NfsAddress {
  std::string host;                    // a name, or an address without brackets
  std::string directory;               // the export and what is below it, from "/"
  std::optional<int> version;          // 3 or 4; nothing: 4, and 3 where that is not to be had
  std::optional<uint16_t> port;        // of NFS: 2049
  std::optional<uint16_t> mount_port;  // of MOUNT, which NFSv3 needs: asked from the portmapper
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool little_memory = false;  // for small files: one write at a time is on its way
};

}  // namespace dw
