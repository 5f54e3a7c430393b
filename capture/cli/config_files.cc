#include "capture/cli/config_files.h"

#include <sys/stat.h>
#include <unistd.h>

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

// Whoever can write to them decides where dumps go, and as whom. What is missing is told by who
// reads it.
Status check_owner(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  if (file.st_uid != 0 && file.st_uid != ::geteuid())
    return Error(ErrorKind::kUsage, "belongs to somebody else").on(path).hint("chown it to root");
  if ((file.st_mode & 022) != 0)
    return Error(ErrorKind::kUsage, "others than the owner may write to it")
        .on(path)
        .hint("chmod go-w it");
  return {};
}

}  // namespace

Status check_key_file(const std::string& path) {
  DW_TRY(check_path(path));
  DW_TRY(check_owner(path));
  DW_TRY(prepare_libssh());
  DW_TRY(load_private_key(path));
  return {};
}

Status check_known_hosts(const std::string& path) {
  DW_TRY(check_path(path));
  DW_TRY(check_owner(path));
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
