// A real NFS server for tests (tests/servers/nfs). Needs root.
#pragma once

#include <signal.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/support/server_process.h"

namespace dw::test {

class TestNfs : public ServerProcess {
 public:
  // `options` as of the script; its port and folder apart.
  explicit TestNfs(std::vector<std::string> options = {})
      : ServerProcess("nfs", std::move(options)) {}

  // What it exports as "/export", without the option --export.
  [[nodiscard]] std::string data() const { return folder() / "export"; }
  [[nodiscard]] uint16_t mount_port() const {
    unsigned port = 0;
    std::ifstream(folder() / "mountport") >> port;
    return static_cast<uint16_t>(port);
  }

  // It stops reading and answering, with its connections up.
  void freeze() const { signal(SIGUSR1); }
  void thaw() const { signal(SIGUSR2); }
};

}  // namespace dw::test
