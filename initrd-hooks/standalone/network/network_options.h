// The network as the kernel's command line describes it, in dracut's words (dracut.cmdline(7)):
//
//   ip={dhcp|on|any|auto6|off|none}
//   ip=INTERFACE:{dhcp|on|any|auto6}[:[MTU][:MAC]]
//   ip=CLIENT:[PEER]:[GATEWAY]:[NETMASK]:[HOSTNAME]:[INTERFACE]:[METHOD][:[MTU][:MAC]]
//   ip=CLIENT:...:METHOD:[DNS1][:DNS2]           (also the kernel's own, nfsroot.rst)
//   nameserver=ADDRESS   rd.route=NET/LENGTH:[GATEWAY][:INTERFACE]
//   ifname=INTERFACE:MAC   bootdev=INTERFACE
//
// IPv6 addresses stand in brackets. What is wrong is reported and left out: it never stops a
// capture. Thread safety: plain values.
#pragma once

#include "capture/base/result.h"
#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/network/ip_address.h"

namespace dw {

enum class AddressBy : uint8_t {
  kStatic,
  kDhcp,   // IPv4
  kAuto6,  // what an IPv6 router advertises; the kernel does it
  kOff,    // the interface, or the whole network, is left alone
};

struct InterfaceOptions {
  std::string interface;  // empty: every one for DHCP and auto6, the first for a static address
  AddressBy by = AddressBy::kDhcp;
  std::optional<IpPrefix> address;
  std::optional<IpAddress> peer;
  std::optional<IpAddress> gateway;
  std::optional<uint32_t> mtu;
  std::optional<MacAddress> mac;  // that the interface shall have
};

struct RouteOptions {
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  std::string interface;  // may be empty if there is a gateway
};

struct NameOptions {
  std::string interface;
  MacAddress mac;  // of the interface that shall have this name
};

struct NetworkOptions {
  std::vector<InterfaceOptions> interfaces;
  std::vector<IpAddress> name_servers;
  std::vector<RouteOptions> routes;
  std::vector<NameOptions> names;
  std::string boot_interface;  // the one whose gateway is the default; may be empty
  std::vector<Error> problems;
};

// Of each kind; what is beyond is a problem.
inline constexpr size_t kMaxNetworkOptions = 16;

NetworkOptions parse_network_options(const std::vector<BootParameter>& parameters);

// The fields of an option, cut at colons; colons in brackets do not cut.
std::vector<std::string_view> option_fields(std::string_view text);

}  // namespace dw
