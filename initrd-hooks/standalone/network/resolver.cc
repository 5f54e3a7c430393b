#include "initrd-hooks/standalone/network/resolver.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "capture/base/fd.h"
#include "capture/cli/config.h"

namespace dw {

namespace {

constexpr size_t kMaxKnownBytes = 16 * 1024;
constexpr size_t kMaxNames = 16;

struct KnownAddress {
  std::string address;
  std::string name;
};

std::vector<KnownAddress> parse_known(std::string_view text) {
  std::vector<KnownAddress> known;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    size_t blank = line.find(' ');
    if (blank == line.npos || line.starts_with('#')) continue;
    known.push_back({std::string(line.substr(0, blank)), std::string(line.substr(blank + 1))});
  }
  return known;
}

bool resolves(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return false;
  ::freeaddrinfo(found);
  return true;
}

Status append(const std::string& path, const std::string& text) {
  DW_ASSIGN(Fd file, open_file(path.c_str(), O_WRONLY | O_CREAT, 0644));
  off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (end < 0) return Error::from_errno("cannot find the end").on(path);
  DW_TRY(write_all_at(file.get(), std::as_bytes(std::span(text)), static_cast<uint64_t>(end)));
  return file.close();
}

}  // namespace

std::string resolver_text(const std::vector<IpAddress>& servers, const std::string& domain) {
  std::vector<IpAddress> used;
  for (const IpAddress& server : servers)
    if (used.size() < kMaxNameServers && std::ranges::find(used, server) == used.end())
      used.push_back(server);
  std::string text;
  for (const IpAddress& server : used) text += "nameserver " + to_text(server) + "\n";
  if (!domain.empty()) text += "search " + domain + "\n";
  return text;
}

Status write_resolver(const std::string& path, const std::vector<IpAddress>& servers,
                      const std::string& domain) {
  if (servers.empty()) return {};
  std::string text = resolver_text(servers, domain);
  DW_ASSIGN(Fd file, open_file(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
  DW_TRY(write_all_at(file.get(), std::as_bytes(std::span(text.data(), text.size())), 0));
  return file.close();
}

Status fall_back_on_known_addresses(const std::string& known, const std::string& hosts, bool ask,
                                    const Log& log) {
  if (::access(known.c_str(), F_OK) != 0) return {};
  DW_ASSIGN(std::string text, read_text_file(known.c_str(), kMaxKnownBytes));
  std::map<std::string, bool> resolved;
  std::string more;
  for (const auto& [address, name] : parse_known(text)) {
    // Once: each try may take seconds.
    if (ask && !resolved.contains(name) && resolved.size() < kMaxNames)
      resolved[name] = resolves(name);
    if (resolved[name]) continue;
    log.say("network: %s is not resolved; it was %s when the initrd was built", name.c_str(),
            address.c_str());
    more += address + " " + name + "\n";
  }
  return more.empty() ? Status() : append(hosts, "\n" + more);
}

}  // namespace dw
