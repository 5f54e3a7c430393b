#include "capture/target/open_store.h"

#include <utility>

#include "capture/base/upcast.h"
#include "capture/target/file_store.h"
#include "capture/target/file_target.h"
#include "capture/target/nfs/nfs_server.h"
#include "capture/target/raw/raw_store.h"
#include "capture/target/server/server_store.h"
#include "capture/target/ssh/ssh_server.h"

namespace dw {

namespace {

// Buffers on their way, and what the protocols' libraries keep.
constexpr size_t kServerBytes = 12 << 20;

Result<std::unique_ptr<DumpStore>> open_ssh(const TargetAddress& address,
                                            const StoreOptions& options) {
  SshAddress place{.host = address.host,
                   .port = address.port.value_or(SshAddress{}.port),
                   .user = address.user,
                   .directory = address.path};
  SshOptions login{.key_file = options.ssh_key, .known_hosts_file = options.ssh_known_hosts};
  if (options.ssh_connections > 0) login.connections = options.ssh_connections;
  DW_ASSIGN(auto server, SshServer::open(place, login, options.times));
  return std::unique_ptr<DumpStore>(std::make_unique<ServerStore>(std::move(server)));
}

Result<std::unique_ptr<DumpStore>> open_nfs(const TargetAddress& address,
                                            const StoreOptions& options) {
  NfsAddress place{.host = address.host,
                   .directory = address.path,
                   .version = address.nfs_version ? address.nfs_version : options.nfs_version,
                   .port = address.port,
                   .mount_port = address.mount_port,
                   .uid = address.uid.value_or(0),
                   .gid = address.gid.value_or(0),
                   .little_memory = options.little_memory};
  DW_ASSIGN(auto server, NfsServer::open(place, options.times));
  return std::unique_ptr<DumpStore>(std::make_unique<ServerStore>(std::move(server)));
}

}  // namespace

Result<std::unique_ptr<DumpStore>> open_store(const TargetAddress& address,
                                              const StoreOptions& options,
                                              const std::string& target) {
  switch (address.kind) {
    case TargetKind::kDirectory:
      return upcast<DumpStore>(
          FileStore::open(address.path, target.starts_with("dev:") ? target : address.path));
    case TargetKind::kRaw:
      return upcast<DumpStore>(
          RawStore::open(address.path, {.force = address.force, .overwrite = address.overwrite}));
    case TargetKind::kSsh:
      return open_ssh(address, options);
    case TargetKind::kNfs:
      return open_nfs(address, options);
    case TargetKind::kStdout:
    case TargetKind::kDevice:
      break;
  }
  return Error(ErrorKind::kUsage, "this kind of target is not supported here")
      .on(address.path)
      .hint("name a directory");
}

size_t store_memory_bytes(TargetKind kind) {
  switch (kind) {
    case TargetKind::kDirectory:
    case TargetKind::kDevice:
    case TargetKind::kRaw:
      return FileTarget::memory_bytes();
    case TargetKind::kNfs:
    case TargetKind::kSsh:
      return kServerBytes;
    case TargetKind::kStdout:
      break;
  }
  return 0;
}

}  // namespace dw
