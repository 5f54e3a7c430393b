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

// Of the names in the file `known` (as /etc/hosts has them: ADDRESS NAME), those that cannot be
// resolved now are added to the file `hosts`, with a word about it; with `ask` false, there is no
// name server, all of them. Without the file there is nothing to do. Each name may take as long as
// the C library waits for its servers.
Status fall_back_on_known_addresses(const std::string& known, const std::string& hosts, bool ask,
                                    const Log& log);

}  // namespace dw
