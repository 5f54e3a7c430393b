// The network of the initrd: waits for interfaces, gives them addresses, writes /etc/resolv.conf.
//
// What the kernel's command line says is done (network_options.h); if it says nothing, every
// Ethernet interface asks for an address by DHCP.
// Thread safety: called from one thread.
#pragma once

#include <string>
#include <vector>

#include "initrd-hooks/standalone/command_line.h"
#include "initrd-hooks/standalone/log.h"

namespace dw {

// Where things are; a test has places of its own.
struct NetworkPlaces {
  std::string resolver = "/etc/resolv.conf";
  std::string hosts = "/etc/hosts";
  std::string known_hosts = "/etc/hosts.known";
  std::string mtu_probing = "/proc/sys/net/ipv4/tcp_mtu_probing";
};

struct NetworkLimits {
  // For interfaces to appear, to have a carrier, and to get an address: a link may take 10 s to
  // come up, and a switch that looks for loops passes nothing on for 30 to 50 s more.
  int64_t all_ms = 120 * 1000;
  // Once one interface of several that would do is ready, the others have this long: those that
  // have a carrier and still ask,
  int64_t others_ms = 30 * 1000;
  // and those that have none.
  int64_t carrier_ms = 10 * 1000;
};

// Brings up all that is asked for, and tells what came of it. What stays without an address is
// reported; the error, kTimeout or kUsage, is that no interface has one. May be called again.
Status bring_up_network(const std::vector<BootParameter>& boot, const Log& log,
                        const NetworkLimits& limits, const NetworkPlaces& places);

// The same, as it is in the initrd.
Status bring_up_initrd_network(const std::vector<BootParameter>& boot, const Log& log);

}  // namespace dw
