#include "capture/target/server/server_store.h"

#include <cerrno>
#include <utility>

#include "capture/base/upcast.h"
#include "capture/target/dump_names.h"
#include "capture/target/file_steps.h"
#include "capture/target/server/remote_small_file.h"
#include "capture/target/server/server_source.h"
#include "capture/target/server/server_target.h"
#include "capture/target/server/standing_files.h"

namespace dw {

Error ServerStore::failed(const Error& error, const std::string& path) const {
  return with_hint(Error(error).on(display(path)));
}

Result<StandingDump> ServerStore::look(const std::string& name) {
  Result<StandingFiles> there = find_standing_files(*server_, name);
  if (!there.ok()) return failed(there.error(), name);
  return there->dump;
}

Result<std::unique_ptr<Target>> ServerStore::create(const std::string& name, const char* file) {
  return upcast<Target>(ServerTarget::create(*server_, name, file));
}

Result<std::unique_ptr<Target>> ServerStore::reopen(const std::string& name, const char* file) {
  return upcast<Target>(ServerTarget::reopen(*server_, name, file));
}

Result<std::unique_ptr<ByteSource>> ServerStore::open_file(const std::string& name,
                                                           const std::string& file) {
  std::string path = name + "/" + file;
  Result<std::unique_ptr<ServerFile>> opened = server_->open(path, FileServer::Open::kRead);
  if (!opened.ok()) return failed(opened.error(), path);
  Result<std::unique_ptr<ServerSource>> source = ServerSource::open(std::move(*opened));
  if (!source.ok()) return failed(source.error(), path);
  return upcast<ByteSource>(std::move(source));
}

Status ServerStore::put_content(const std::string& name, const char* file,
                                const FileContent& content, const StillWanted& wanted) {
  std::string path = name + "/" + file;
  Status made = server_->make_directory(name);
  if (!made.ok() && made.error().errno_value() != EEXIST) return failed(made.error(), name);
  Status put = RemoteSmallFile::put_once(*server_, path, content, wanted);
  return put.ok() ? put : failed(put.error(), path);
}

void ServerStore::remove_leftovers(const std::string& name, const std::string& dump,
                                   std::span<const char* const> files) {
  std::string path = name + "/" + dump;
  (void)server_->finish_rename(path + std::string(kIncompleteSuffix), path);
  for (const char* file : files) RemoteSmallFile::remove_spares(*server_, name + "/" + file);
}

Status ServerStore::seal_finished(const std::string& name, const std::string& file) {
  DW_CHECK(file.ends_with(kIncompleteSuffix));
  std::string path = name + "/" + file;
  auto finish = [&]() -> Status {
    DW_ASSIGN(std::unique_ptr<ServerFile> dump, server_->open(path, FileServer::Open::kReadWrite));
    // What was read of it may stand in the server's memory only.
    DW_TRY(dump->commit());
    std::string whole = path.substr(0, path.size() - kIncompleteSuffix.size());
    return server_->rename_open(path, whole, *dump);
  };
  Status finished = finish();
  return finished.ok() ? finished : failed(finished.error(), path);
}

size_t ServerStore::memory_bytes() const {
  return server_->memory_bytes() + ServerTarget::memory_bytes();
}

}  // namespace dw
