#include "capture/target/server/file_server.h"

namespace dw {

std::vector<Result<ServerEntry>> FileServer::look_at(std::span<const std::string> paths) {
  std::vector<Result<ServerEntry>> entries;
  for (const std::string& path : paths) entries.push_back(look(path));
  return entries;
}

Status FileServer::rename_open(const std::string& from, const std::string& to, ServerFile& file) {
  DW_TRY(rename(from, to));
  return file.commit();
}

Status FileServer::replace_open(const std::string& from, const std::string& to, ServerFile& file) {
  DW_TRY(replace(from, to));
  return file.commit();
}

Result<bool> FileServer::has_name(ServerFile& file, const std::string& path,
                                  const FileLengths& lengths) {
  DW_TRY(file.truncate(lengths.other));
  DW_ASSIGN(ServerEntry named, look(path));
  DW_TRY(file.truncate(lengths.own));
  DW_TRY(file.commit());
  return named.kind == ServerEntry::Kind::kFile && named.size == lengths.other;
}

}  // namespace dw
