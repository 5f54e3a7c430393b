// Where an SSH server is, and how to log in. Plain values.
#pragma once

#include <cstdint>
#include <string>

namespace dw {

struct SshAddress {
  std::string host;  // a name, or an address without brackets
  uint16_t port = 22;
  std::string user;
  std::string directory;  // absolute, or relative to where the server puts the user
};

struct SshOptions {
  std::string key_file;          // a private key without a passphrase
  std::string known_hosts_file;  // the only one that is read
  // At most so many; all but the first are opened when one cannot fill the link. 1 to 8. An OpenSSH
  // server lets 2 MiB come over each in a round trip, a tenth less in practice.
  unsigned connections = 5;
};

// "ssh://user@host:port/dir", for messages.
[[nodiscard]] std::string display_of(const SshAddress& address);

}  // namespace dw
