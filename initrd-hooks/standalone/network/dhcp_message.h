// DHCP for IPv4: the messages, as bytes (RFC 2131, RFC 2132, RFC 3396, RFC 3442).
//
// Replies come from whoever is on the network: lengths are checked, and values that would do harm
// are left out. Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "capture/base/result.h"
#include "initrd-hooks/standalone/network/ip_address.h"

namespace dw {

enum class DhcpType : uint8_t { kDiscover = 1, kOffer = 2, kRequest = 3, kAck = 5, kNak = 6 };

struct DhcpRequest {
  DhcpType type = DhcpType::kDiscover;
  uint32_t transaction = 0;
  uint16_t seconds = 0;  // since the client began
  MacAddress mac;
  std::optional<IpAddress> address{};  // that is asked for
  std::optional<IpAddress> server{};   // whose offer is taken
};

std::vector<std::byte> build_dhcp(const DhcpRequest& request);

struct DhcpRoute {
  IpPrefix destination;
  IpAddress gateway;  // 0.0.0.0: on the link itself
};

struct DhcpReply {
  DhcpType type = DhcpType::kNak;
  uint32_t transaction = 0;
  MacAddress mac;
  IpAddress address;  // "yours"; one host's, unless the type is kNak
  std::optional<IpAddress> server;
  std::optional<IpAddress> mask;
  std::vector<IpAddress> routers;
  std::vector<IpAddress> name_servers;
  std::vector<DhcpRoute> routes;  // where there are any, `routers` do not count (RFC 3442)
  std::string domain;             // letters, digits, '-', '_' and '.' only
  std::optional<uint32_t> mtu;    // kMinDhcpMtu at least
  std::optional<uint32_t> lease_s;
};

inline constexpr uint32_t kMinDhcpMtu = 576;
// Of routers, name servers and routes; what is beyond is left out.
inline constexpr size_t kMaxDhcpItems = 16;

// kBadInput: not a whole reply of DHCP to an Ethernet client, or one without a usable address.
Result<DhcpReply> parse_dhcp(Bytes message);

// Whether an interface can have it: not zero, not loopback, multicast, reserved or broadcast.
[[nodiscard]] bool is_host_address(const IpAddress& address);

}  // namespace dw
