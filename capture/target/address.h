// What a target is called: DIR, file:DIR, dev:..., raw:..., nfs://..., ssh://..., or "-".
//
// Nothing is percent-decoded: a directory is taken as it is written. Thread safety: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "capture/base/result.h"

namespace dw {

enum class TargetKind : uint8_t {
  kDirectory,  // DIR or file:DIR
  kStdout,     // -
  kDevice,     // dev:...: a file system that is mounted first, in the initrd
  kRaw,        // raw:/dev/X or raw:PARTUUID=P, [?force=yes][&overwrite=yes]
  kNfs,        // nfs://HOST[:PORT]/DIR[?version=3|4][&mountport=N][&uid=N][&gid=N]
  kSsh,        // ssh://USER@HOST[:PORT]/DIR
};

struct TargetAddress {
  TargetKind kind = TargetKind::kDirectory;
  std::string path;            // the directory or device; of dev: all that follows
  std::string partition_uuid;  // raw: in lower case; empty: called by its path
  std::string user;
  std::string host;  // name or address, without the brackets of an IPv6 address
  std::optional<uint16_t> port;
  std::optional<int> nfs_version;  // 3 or 4
  std::optional<uint16_t> mount_port;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  bool force = false;      // raw: whatever else is on the device
  bool overwrite = false;  // raw: another crash's dump too
};

// Error kUsage, on the target, with what to write instead.
Result<TargetAddress> parse_target_address(std::string_view target);

// The same text for all ways to write one place: hosts in lower case and with their port, paths
// without what is repeated in them ("//", "/./", a slash at the end), options left out. Links are
// not followed, and the device of dev: is taken as it is called.
[[nodiscard]] std::string place_of(const TargetAddress& address);

// Whether `target` is the same place as one of the others. What is no target is compared as it is
// written.
[[nodiscard]] bool is_among(std::span<const std::string> others, std::string_view target);

[[nodiscard]] inline bool is_on_network(TargetKind kind) {
  return kind == TargetKind::kNfs || kind == TargetKind::kSsh;
}

}  // namespace dw
