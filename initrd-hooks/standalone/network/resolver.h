// How names are looked up: /etc/resolv.conf (resolv.conf(5)).
//
// Thread safety: pure, but for the file.
#pragma once

#include <string>
#include <vector>

#include "capture/base/result.h"
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

}  // namespace dw
