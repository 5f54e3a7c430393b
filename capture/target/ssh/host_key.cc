#include "capture/target/ssh/host_key.h"

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

// Takes the first line off `rest`.
std::string_view next_line(std::string_view& rest) {
  std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

bool has_revoked_line(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    size_t start = line.find_first_not_of(" \t");
    if (start != std::string_view::npos && line.substr(start).starts_with("@revoked")) return true;
  }
  return false;
}

Result<std::string> read_known_hosts(const std::string& path) {
  Result<Fd> fd = open_small_file(path.c_str());
  if (!fd.ok() && fd.error().kind() == ErrorKind::kBadInput)
    return file_error(path, fd.error().what(), "name a file");
  if (!fd.ok())
    return file_error(path, "cannot read the known_hosts file",
                      "put into it what ssh-keyscan -p PORT HOST prints")
        .because(fd.error().errno_value());
  std::string text(kMostBytes + 1, '\0');
  auto size =
      read_up_to_at(fd->get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0);
  if (!size.ok()) return Error(size.error()).on(path);
  if (*size > kMostBytes)
    return file_error(path, "the known_hosts file is too large", "keep the lines that are needed");
  text.resize(*size);
  if (has_revoked_line(text))
    return file_error(path, "@revoked lines are not supported", "remove them with their keys");
  return text;
}

// As libssh looks for it: a port other than 22 belongs to the name.
std::string known_name(const SshAddress& address) {
  std::string name = address.host;
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return address.port == SshAddress{}.port ? name
                                           : "[" + name + "]:" + std::to_string(address.port);
}

// SSH_OK, SSH_ERROR, or SSH_AGAIN if it is not about `name`.
int look_for_key(const std::string& name, std::string_view line) {
  size_t start = line.find_first_not_of(" \t\r");
  if (start == std::string_view::npos || line[start] == '#' || line[start] == '@') return SSH_AGAIN;
  ssh_knownhosts_entry* entry = nullptr;
  int code = ::ssh_known_hosts_parse_line(name.c_str(), std::string(line).c_str(), &entry);
  if (code == SSH_OK) ::ssh_knownhosts_entry_free(entry);
  return code;
}

Error refused(const SshAddress& address, ssh_key key, const char* what, const char* hint) {
  std::string subject = display_of(address) + " (" + fingerprint_of(key) + ")";
  return Error(ErrorKind::kIo, what).on(subject).hint(hint);
}

}  // namespace

Status check_known_hosts_file(const std::string& path) {
  DW_TRY(read_known_hosts(path));
  return {};
}

Status check_host_is_known(const SshAddress& address, const std::string& path) {
  DW_ASSIGN(std::string text, read_known_hosts(path));
  std::string name = known_name(address);
  bool known = false;
  std::string_view rest(text);
  for (uint64_t number = 1; !rest.empty(); ++number) {
    int code = look_for_key(name, next_line(rest));
    if (code == SSH_AGAIN) continue;
    // libssh then takes none of the server's lines.
    if (code != SSH_OK)
      return file_error(path + ":" + std::to_string(number), "this is not a host's key",
                        "put there what ssh-keyscan -p PORT HOST prints");
    known = true;
  }
  if (known) return {};
  return Error(ErrorKind::kUsage, "its host has no key in ssh_known_hosts")
      .on(display_of(address))
      .hint("add what ssh-keyscan -p PORT HOST prints, if the fingerprint is right");
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
