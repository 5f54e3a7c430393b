// The small files beside a dump that have their room before the disk is full, by their paths.
//
// Thread safety: none. The server belongs to the caller.
#pragma once

#include <string>
#include <vector>

#include "capture/target/server/remote_small_file.h"

namespace dw {

class RemoteSmallFiles {
 public:
  explicit RemoteSmallFiles(FileServer& server) : server_(&server) {}

  // Makes room for contents of up to `bytes`. What was made for `path` before is thrown away.
  Status reserve(const std::string& path, size_t bytes);
  // Durable on return, also without room that was made. `last`: without room for a next one.
  Status put(const std::string& path, Bytes content, bool last);
  void remove_spares();

 private:
  FileServer* server_;
  std::vector<RemoteSmallFile> files_;  // a handful
};

}  // namespace dw
