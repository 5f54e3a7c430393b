// A real NFS server for tests (tests/servers/nfs). Needs root.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "capture/target/nfs/nfs_address.h"
#include "tests/unit/support/server_process.h"

namespace dw::test {

class TestNfs : public ServerProcess {
 public:
  // `options` as of the script; its port and folder apart.
  explicit TestNfs(std::vector<std::string> options = {})
      : ServerProcess("nfs", std::move(options)) {}

  // What it exports as "/export", without the option --export.
  [[nodiscard]] std::string data() const { return folder() / "export"; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return data() + "/" + name; }
  [[nodiscard]] uint16_t mount_port() const {
    unsigned port = 0;
    std::ifstream(folder() / "mountport") >> port;
    return static_cast<uint16_t>(port);
  }

  // It stops reading and answering, with its connections up. It has stopped when this returns.
  void freeze() const {
    signal(SIGUSR1);
    for (int tries = 0; tries < 5000 && state() != 'T'; tries++) ::usleep(1000);
  }
  void thaw() const { signal(SIGUSR2); }

 private:
  // Of the server itself: the letter of proc(5).
  [[nodiscard]] char state() const {
    std::string pid;
    std::ifstream(folder() / "pid") >> pid;
    std::ifstream status("/proc/" + pid + "/stat");
    std::string name;
    char state = 0;
    status >> pid >> name >> state;
    return state;
  }
};

// What it exports, by one version of NFS.
inline NfsAddress address_of(const TestNfs& nfs, int version) {
  NfsAddress address;
  address.host = "127.0.0.1";
  address.directory = "/export";
  address.version = version;
  address.port = nfs.port();
  address.mount_port = nfs.mount_port();
  return address;
}

}  // namespace dw::test
