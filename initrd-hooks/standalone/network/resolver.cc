#include "initrd-hooks/standalone/network/resolver.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "capture/base/fd.h"
#include "capture/cli/config.h"
#include "initrd-hooks/standalone/progress.h"

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

// Each name once, as any may take seconds; and none any more when the servers are silent.
class Resolver {
 public:
  Resolver(bool ask, const NameQueries& queries, const Log& log)
      : asks_(ask), queries_(queries), log_(log), end_ms_(shared_clock_ms() + queries.limit_ms) {}

  bool resolves(const std::string& name) {
    if (asks_ && resolved_.size() < kMaxNames && !resolved_.contains(name))
      resolved_[name] = ask(name);
    return resolved_[name];
  }

 private:
  bool ask(const std::string& name) {
    int64_t start = shared_clock_ms();
    int error = queries_.ask(name.c_str());
    int64_t now = shared_clock_ms();
    bool silent = error == EAI_AGAIN && now - start >= queries_.silence_ms;
    asks_ = !silent && now < end_ms_;
    if (silent) log_.say("network: no name server answers");
    return error == 0;
  }

  bool asks_;
  const NameQueries& queries_;
  const Log& log_;
  int64_t end_ms_;
  std::map<std::string, bool> resolved_;
};

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

int ask_for_name(const char* name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(name, nullptr, &hints, &found);
  if (error == 0) ::freeaddrinfo(found);
  return error;
}

Status fall_back_on_known_addresses(const std::string& known, const std::string& hosts, bool ask,
                                    const Log& log, const NameQueries& queries) {
  if (::access(known.c_str(), F_OK) != 0) return {};
  DW_ASSIGN(std::string text, read_text_file(known.c_str(), kMaxKnownBytes));
  Resolver resolver(ask, queries, log);
  std::string more;
  for (const auto& [address, name] : parse_known(text)) {
    if (resolver.resolves(name)) continue;
    log.say("network: %s is not resolved; it was %s when the initrd was built", name.c_str(),
            address.c_str());
    more += address + " " + name + "\n";
  }
  return more.empty() ? Status() : append(hosts, "\n" + more);
}

}  // namespace dw
