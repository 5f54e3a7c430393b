// The MOUNT protocol (RFC 1813, appendix I), and the portmapper (RFC 1833) that knows its port.
#include <errno.h>
#include <netinet/in.h>
#include <nfsc/libnfs-zdr.h>
// After libnfs-zdr.h.
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-portmap.h>

#include <algorithm>

#include "capture/target/nfs/nfs3.h"

namespace dw {

namespace {

constexpr uint16_t kPortmapperPort = 111;
constexpr size_t kMostNames = 32;

Error no_export(uint32_t status) {
  switch (status) {
    case MNT3ERR_NOENT:
    case MNT3ERR_NOTDIR:
      return Error::from_errno("the server has no such export", ENOENT)
          .hint("compare it with the server's list of exports (showmount -e)");
    case MNT3ERR_PERM:
    case MNT3ERR_ACCES:
      return Error::from_errno("the server does not export it to this client", EACCES)
          .hint(
              "compare it with the server's list of exports (showmount -e), and with whom each is "
              "for");
    default:
      return Error::from_errno("the server does not give access to the export", EIO);
  }
}

Result<uint16_t> ask_portmapper(RpcPeer peer, const ServerTimes& times) {
  peer.port = kPortmapperPort;
  auto connection = RpcConnection::connect(peer, times, 0);
  if (!connection.ok()) {
    Error error = connection.error();
    if (error.kind() != ErrorKind::kIo)
      error.hint("is the server's rpcbind reachable? With mountport=N nobody needs it");
    return error;
  }
  (*connection)->set_limit(times.connect_ms);
  pmap2_mapping mapping{MOUNT_PROGRAM, MOUNT_V3, IPPROTO_TCP, 0};
  DW_ASSIGN(XdrReader results, (*connection)
                                   ->call({PMAP_PROGRAM, PMAP_V2, PMAP2_GETPORT},
                                          encoder<zdr_pmap2_mapping>(mapping)));
  uint32_t port = results.u32();
  if (!results.ok() || port == 0 || port > UINT16_MAX)
    return Error(ErrorKind::kIo, "the server does not offer the MOUNT protocol over TCP")
        .on(peer.display)
        .hint("NFSv3 needs it; try version=4");
  return static_cast<uint16_t>(port);
}

Result<NfsHandle> ask_mount(RpcConnection& connection, const std::string& path) {
  char* argument = const_cast<char*>(path.c_str());
  DW_ASSIGN(XdrReader results,
            connection.call({MOUNT_PROGRAM, MOUNT_V3, MOUNT3_MNT}, encoder<zdr_dirpath>(argument)));
  uint32_t status = results.u32();
  if (results.ok() && status != MNT3_OK) return no_export(status).on(connection.display());
  Bytes bytes = results.opaque(FHSIZE3);
  if (!results.ok() || bytes.empty())
    return Error(ErrorKind::kLost, "a reply of the server makes no sense").on(connection.display());
  NfsHandle handle;
  handle.size = static_cast<uint32_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(handle.bytes.data()));
  return handle;
}

}  // namespace

Result<NfsMount> mount_nfs3(RpcPeer peer, std::optional<uint16_t> mount_port,
                            const std::string& path, const ServerTimes& times) {
  if (!mount_port) {
    DW_ASSIGN(mount_port, ask_portmapper(peer, times));
  }
  peer.port = *mount_port;
  DW_ASSIGN(std::unique_ptr<RpcConnection> connection, RpcConnection::connect(peer, times, 0));
  connection->set_limit(times.connect_ms);
  // Where an export begins is not to be seen in a path, and not every server takes one below it.
  NfsMount mount{{}, path};
  std::optional<Error> first;
  for (size_t tries = 0; tries < kMostNames; tries++) {
    auto handle = ask_mount(*connection, mount.path);
    if (handle.ok()) {
      mount.handle = *handle;
      return mount;
    }
    if (is_lost(handle.error())) return handle.error();
    if (!first) first = handle.error();
    size_t slash = mount.path.rfind('/');
    if (slash == std::string::npos || slash == 0) break;
    mount.path.resize(slash);
  }
  return *first;
}

}  // namespace dw
