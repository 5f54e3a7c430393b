// Network interfaces: which there are, and giving them names, addresses and routes.
//
// Everything here can be done twice: what is there already is no error.
// Thread safety: an object belongs to one thread.
#pragma once

#include <string>

#include "initrd-hooks/standalone/network/ip_address.h"
#include "initrd-hooks/standalone/network/netlink.h"

namespace dw {

struct NetLink {
  uint32_t index = 0;
  std::string name;
  MacAddress mac;
  std::string driver;   // may be empty
  bool usable = false;  // Ethernet, and neither made by software nor part of another
  bool loopback = false;
  bool up = false;
  bool carrier = false;  // only known while it is up
};

struct NetRoute {
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  uint32_t index = 0;  // of the interface; 0: the one through which the gateway is reached
  uint32_t metric = 0;
};

inline constexpr size_t kMaxNetLinks = 256;

class NetLinks {
 public:
  static Result<NetLinks> open();

  // In the order of their indexes, kMaxNetLinks at most.
  Result<std::vector<NetLink>> list();

  Status set_up(const NetLink& link);
  // The next three want the interface down; `link` is as it was before.
  Status set_mtu(const NetLink& link, uint32_t mtu);
  Status set_mac(const NetLink& link, const MacAddress& mac);
  Status rename(const NetLink& link, const std::string& name);

  // Usable at once: for IPv6 nobody is asked whether somebody else has it.
  Status add_address(const NetLink& link, const IpPrefix& address,
                     const std::optional<IpAddress>& peer);
  // A gateway outside of all networks is taken to be on the link itself.
  Status add_route(const NetRoute& route);

  // An address that a router's advertisement gave and nobody else has.
  Result<std::optional<IpPrefix>> automatic_address(const NetLink& link);

 private:
  explicit NetLinks(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

// "eth0 (virtio_net, 52:54:00:12:34:56)".
[[nodiscard]] std::string describe(const NetLink& link);

}  // namespace dw
