// What stands in a dump's folder on a server.
#pragma once

#include <string>

#include "capture/base/result.h"
#include "capture/target/dump_store.h"
#include "capture/target/server/file_server.h"

namespace dw {

struct StandingFiles {
  StandingDump dump;
  bool has_sums = false;
};

// Of the folder `name`, by one FileServer::look_at(). `dump` is as of DumpStore::look(); the first
// that counts, if there are several.
Result<StandingFiles> find_standing_files(FileServer& server, const std::string& name);

}  // namespace dw
