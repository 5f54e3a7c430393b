// A real OpenSSH server for tests (tests/servers/sshd). Needs root.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "tests/unit/support/server_process.h"

namespace dw::test {

class TestSshd : public ServerProcess {
 public:
  // `lines` win over the configuration that it has otherwise.
  explicit TestSshd(std::vector<std::string> lines = {})
      : ServerProcess("sshd", std::move(lines)) {}

  // On this machine as on the server.
  [[nodiscard]] std::string data() const { return folder() / "data"; }
  // Logs in as root.
  [[nodiscard]] std::string key() const { return folder() / "client_key"; }
  [[nodiscard]] std::string known_hosts() const { return folder() / "known_hosts"; }
  // Good for any address and port: for relays.
  [[nodiscard]] std::string known_hosts_any() const { return folder() / "known_hosts.any"; }

  // All sessions stop reading and answering, with their connections up.
  void stop_sessions() const {
    signal(SIGUSR1);
    await("stopped", true);
  }
  void continue_sessions() const {
    signal(SIGUSR2);
    await("stopped", false);
  }
};

}  // namespace dw::test
