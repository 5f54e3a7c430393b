#include "capture/target/ssh/host_key.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "capture/base/fd.h"
#include "capture/target/ssh/ssh_key.h"

namespace dw {

namespace {

// libssh reads at most 16 MiB of it.
constexpr size_t kMostBytes = 1 << 20;

Error file_error(const std::string& path, const char* what, const char* hint) {
  return Error(ErrorKind::kUsage, what).on(path).hint(hint);
}

bool has_revoked_line(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    size_t start = line.find_first_not_of(" \t");
    if (start != std::string_view::npos && line.substr(start).starts_with("@revoked")) return true;
  }
  return false;
}

Error refused(const SshAddress& address, ssh_key key, const char* what, const char* hint) {
  std::string subject = display_of(address) + " (" + fingerprint_of(key) + ")";
  return Error(ErrorKind::kIo, what).on(subject).hint(hint);
}

}  // namespace

Status check_known_hosts_file(const std::string& path) {
  Result<Fd> fd = open_file(path.c_str(), O_RDONLY);
  if (!fd.ok())
    return file_error(path, "cannot read the known_hosts file",
                      "put into it what ssh-keyscan -p PORT HOST prints")
        .because(fd.error().errno_value());
  std::string text(kMostBytes + 1, '\0');
  DW_ASSIGN(
      size_t size,
      read_up_to_at(fd->get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0));
  if (size > kMostBytes)
    return file_error(path, "the known_hosts file is too large", "keep the lines that are needed");
  if (has_revoked_line(std::string_view(text).substr(0, size)))
    return file_error(path, "@revoked lines are not supported", "remove them with their keys");
  return {};
}

Status check_host_key(ssh_session session, const SshAddress& address) {
  ssh_key raw = nullptr;
  if (::ssh_get_server_publickey(session, &raw) != SSH_OK)
    return Error(ErrorKind::kIo, "the server has no host key").on(display_of(address));
  SshKey key(raw);
  switch (::ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK:
      return {};
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
      return refused(address, raw, "the server's host key is another than in known_hosts",
                     "somebody may be listening in; if the server has a new key, remove the old "
                     "line and add what ssh-keyscan -p PORT HOST prints");
    default:
      return refused(address, raw, "the server's host key is not in known_hosts",
                     "if the fingerprint is right, add what ssh-keyscan -p PORT HOST prints");
  }
}

}  // namespace dw
