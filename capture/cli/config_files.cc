#include "capture/cli/config_files.h"

#include "capture/target/ssh/host_key.h"
#include "capture/target/ssh/ssh_key.h"

namespace dw {

namespace {

// The initrd will hold it at the same path.
Status check_path(const std::string& file) {
  if (!file.starts_with('/') || file.find("/../") != file.npos || file.ends_with("/.."))
    return Error(ErrorKind::kUsage, "is no absolute path without '..'").on(file);
  return {};
}

}  // namespace

Status check_key_file(const std::string& path) {
  DW_TRY(check_path(path));
  DW_TRY(prepare_libssh());
  DW_TRY(load_private_key(path));
  return {};
}

Status check_known_hosts(const std::string& path) {
  DW_TRY(check_path(path));
  return check_known_hosts_file(path);
}

Status check_server_is_known(const TargetAddress& target, const std::string& known_hosts) {
  if (target.kind != TargetKind::kSsh) return {};
  SshAddress address{.host = target.host, .user = target.user, .directory = target.path};
  address.port = target.port.value_or(address.port);
  DW_TRY(prepare_libssh());
  return check_host_is_known(address, known_hosts);
}

}  // namespace dw
