#include "capture/target/server/remote_small_files.h"

#include <utility>

namespace dw {

Status RemoteSmallFiles::reserve(const std::string& path, size_t bytes) {
  std::erase_if(files_, [&](const RemoteSmallFile& other) { return other.path() == path; });
  DW_ASSIGN(RemoteSmallFile file, RemoteSmallFile::create(*server_, path, bytes));
  files_.push_back(std::move(file));
  return {};
}

Status RemoteSmallFiles::put(const std::string& path, Bytes content, bool last) {
  for (auto file = files_.begin(); file != files_.end(); ++file) {
    if (file->path() != path) continue;
    if (!last) return file->put(content);
    RemoteSmallFile ending = std::move(*file);
    files_.erase(file);
    Status put = ending.put_last(content);
    if (!put.ok()) ending.remove_spares();
    return put;
  }
  return RemoteSmallFile::put_once(*server_, path, BytesContent(content));
}

void RemoteSmallFiles::remove_spares() {
  for (RemoteSmallFile& file : files_) file.remove_spares();
}

}  // namespace dw
