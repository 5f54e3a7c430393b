// A kernel command line of any content: what is taken from it is within its limits.
#include <net/if.h>

#include "initrd-hooks/standalone/network/network_options.h"
#include "tests/fuzz/memory_file.h"

namespace {

void check_name(const std::string& name) {
  dw::fuzz::require(name.size() < IF_NAMESIZE && name.find('/') == name.npos);
}

void check_prefix(const dw::IpPrefix& prefix) {
  dw::fuzz::require(prefix.length <= prefix.address.max_prefix());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dw::fuzz::require;
  std::string text(reinterpret_cast<const char*>(data), size);
  dw::NetworkOptions options = dw::parse_network_options(dw::parse_command_line(text));
  for (const dw::InterfaceOptions& interface : options.interfaces) {
    check_name(interface.interface);
    require(interface.by != dw::AddressBy::kStatic || interface.address.has_value());
    if (interface.address) check_prefix(*interface.address);
    if (interface.mtu) require(*interface.mtu >= 68 && *interface.mtu <= 65535);
  }
  for (const dw::RouteOptions& route : options.routes) {
    check_name(route.interface);
    check_prefix(route.destination);
    require(route.gateway || !route.interface.empty());
  }
  for (const dw::NameOptions& name : options.names) {
    check_name(name.interface);
    require(!name.interface.empty());
  }
  require(options.interfaces.size() <= dw::kMaxNetworkOptions);
  require(options.name_servers.size() <= dw::kMaxNetworkOptions);
  require(options.problems.size() <= dw::kMaxNetworkOptions);
  return 0;
}
