// A server for tests, run by one of the scripts in tests/servers: it ends with the object.
//
// The scripts have one shape: SCRIPT FOLDER [--port N] [more], in the foreground; FOLDER/port is
// written when the server takes connections; SIGTERM ends it with all that it started, SIGKILL too.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/support/temp_dir.h"

namespace dw::test {

class ServerProcess {
 public:
  // Throws if it does not start. `more`: what the script takes behind FOLDER and --port.
  explicit ServerProcess(const std::string& script, std::vector<std::string> more = {});
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  [[nodiscard]] uint16_t port() const { return port_; }
  // Of keys, logs and data.
  [[nodiscard]] const TempDir& folder() const { return folder_; }

  // SIGTERM, and waits until all of it is gone.
  void stop();
  // SIGKILL for all of it at once, as if its machine had lost power.
  void kill();
  // The same server again, on the same port; the old one is gone. `more` replaces the former. Other
  // threads may ask for port() and folder() meanwhile.
  void restart();
  void restart(std::vector<std::string> more);
  // What the script does with such a signal.
  void signal(int number) const;
  // Waits until this file of the folder is there, or gone. Throws if it takes long.
  void await(const std::string& name, bool there) const;

 private:
  void start(bool same_port);
  void end(int number);

  TempDir folder_;
  std::string script_;
  std::vector<std::string> more_;
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

}  // namespace dw::test
