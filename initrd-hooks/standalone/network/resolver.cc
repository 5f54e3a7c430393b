#include "initrd-hooks/standalone/network/resolver.h"

#include <fcntl.h>

#include <algorithm>

#include "capture/base/fd.h"

namespace dw {

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

}  // namespace dw
