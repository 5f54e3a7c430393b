// The files that a configuration names, as somebody needs them who makes an initrd.
//
// Thread safety: none, as they use libssh.
#pragma once

#include <string>

#include "capture/base/result.h"
#include "capture/target/address.h"

namespace dw {

// Both kUsage, on the file: its path is not absolute, it belongs to others than root and us, others
// may write to it, or it cannot be used.
Status check_key_file(const std::string& path);
Status check_known_hosts(const std::string& path);

// kUsage: the list of known hosts has no key of the target's server. Nothing is wrong with a target
// that is no SSH server.
Status check_server_is_known(const TargetAddress& target, const std::string& known_hosts);

}  // namespace dw
