// Whether a server is the one that it should be: its host key against our known_hosts file.
//
// Thread safety: none. Nothing is ever added to the file.
#pragma once

#include <libssh/libssh.h>

#include <string>

#include "capture/base/result.h"
#include "capture/target/ssh/ssh_address.h"

namespace dw {

// Error kUsage, on the file: it cannot be read, or has @revoked lines, which libssh would pass
// over.
Status check_known_hosts_file(const std::string& path);

// Whether the file has a key of the server's that we could read, told without asking the server.
// Errors kUsage: on the address if there is none, on the file and its line if one cannot be read.
Status check_host_is_known(const SshAddress& address, const std::string& path);

// After the key exchange, before anything is told to the server. The session was given the file.
// Errors kIo, on the address and the fingerprint of the key that the server has.
Status check_host_key(ssh_session session, const SshAddress& address);

}  // namespace dw
