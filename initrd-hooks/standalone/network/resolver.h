// How names are looked up: /etc/resolv.conf (resolv.conf(5)).
//
// Thread safety: pure, but for the files.
#pragma once

#include <string>
#include <vector>

#include "capture/base/result.h"
#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/network/ip_address.h"

namespace dw {

// As many as the C library asks.
inline constexpr size_t kMaxNameServers = 3;

// Each server once, the first ones; `domain` may be empty.
[[nodiscard]] std::string resolver_text(const std::vector<IpAddress>& servers,
                                        const std::string& domain);

// Without a server the file is left as it is.
Status write_resolver(const std::string& path, const std::vector<IpAddress>& servers,
                      const std::string& domain);

// As getaddrinfo(3): 0, or EAI_AGAIN and its kind. Waits as long as the C library does.
int ask_for_name(const char* name);

// How names are asked for; tests put in their own.
struct NameQueries {
  int (*ask)(const char* name) = ask_for_name;
  // No other is begun after this time.
  int64_t limit_ms = 15 * 1000;
  // EAI_AGAIN after this time means that no server answers; before it, that one cannot answer now.
  int64_t silence_ms = 2000;
};

// Of the names in the file `known` (as /etc/hosts has them: ADDRESS NAME), those that cannot be
// resolved now are added to the file `hosts`, with a word about it; with `ask` false, there is no
// name server, all of them. Without the file there is nothing to do. When no name server answers,
// no other name is asked for.
Status fall_back_on_known_addresses(const std::string& known, const std::string& hosts, bool ask,
                                    const Log& log, const NameQueries& queries = {});

}  // namespace dw
