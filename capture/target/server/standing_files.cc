#include "capture/target/server/standing_files.h"

#include <vector>

#include "capture/target/dump_names.h"
#include "capture/target/sums_file.h"

namespace dw {

namespace {

using Kind = ServerEntry::Kind;

// In the order in which they count.
std::vector<StandingDump> possible_dumps() {
  std::vector<StandingDump> dumps;
  for (const char* dump : kDumpNames)
    dumps.push_back({.standing = Standing::kSealed, .file = dump});
  for (const char* dump : kDumpNames)
    dumps.push_back(
        {.standing = Standing::kIncomplete, .file = dump + std::string(kIncompleteSuffix)});
  return dumps;
}

}  // namespace

Result<StandingFiles> find_standing_files(FileServer& server, const std::string& name) {
  std::vector<StandingDump> dumps = possible_dumps();
  std::vector<std::string> paths = {name, name + "/" + kSumsName};
  for (const StandingDump& dump : dumps) paths.push_back(name + "/" + dump.file);
  std::vector<Result<ServerEntry>> entries = server.look_at(paths);
  DW_ASSIGN(ServerEntry folder, entries[0]);
  StandingFiles found;
  if (folder.kind == Kind::kNothing) return found;
  if (folder.kind != Kind::kDirectory) {
    found.dump.standing = Standing::kOther;
    return found;
  }
  DW_ASSIGN(ServerEntry sums, entries[1]);
  found.has_sums = sums.kind != Kind::kNothing;
  for (size_t i = 0; i < dumps.size(); ++i) {
    DW_ASSIGN(ServerEntry entry, entries[2 + i]);
    if (entry.kind == Kind::kNothing) continue;
    found.dump = dumps[i];
    return found;
  }
  return found;
}

}  // namespace dw
