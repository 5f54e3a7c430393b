// The private key to log in with, from a file.
//
// Thread safety: none. Ownership: the SshKey owns what libssh made.
#pragma once

#include <libssh/libssh.h>

#include <memory>
#include <string>

#include "capture/base/result.h"

namespace dw {

struct SshKeyDeleter {
  void operator()(ssh_key_struct* key) const { ::ssh_key_free(key); }
};
using SshKey = std::unique_ptr<ssh_key_struct, SshKeyDeleter>;

// libssh's own state, once for the process. Error kNoMemory.
Status prepare_libssh();

// Errors kUsage, on the file: it cannot be read, is open to others than its owner, has a
// passphrase, is no private key, or of a kind that we do not use.
Result<SshKey> load_private_key(const std::string& path);

// "ssh-ed25519 SHA256:...", as ssh-keygen -l writes it.
[[nodiscard]] std::string fingerprint_of(ssh_key key);

}  // namespace dw
