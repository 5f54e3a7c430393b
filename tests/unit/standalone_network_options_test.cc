#include <doctest/doctest.h>

#include "initrd-hooks/standalone/network/network_options.h"

using namespace dw;

namespace {

NetworkOptions parse(std::string_view text) {
  return parse_network_options(parse_command_line(text));
}

// The only interface of an option without problems.
InterfaceOptions one(std::string_view text) {
  NetworkOptions options = parse(text);
  CAPTURE(text);
  REQUIRE(options.problems.empty());
  REQUIRE(options.interfaces.size() == 1);
  return options.interfaces[0];
}

std::string text_of(const std::optional<IpPrefix>& prefix) {
  return prefix ? to_text(*prefix) : "";
}
std::string text_of(const std::optional<IpAddress>& ip) { return ip ? to_text(*ip) : ""; }

}  // namespace

TEST_CASE("network options: a method alone is for every interface") {
  for (const char* method : {"dhcp", "on", "any", "single-dhcp"}) {
    InterfaceOptions options = one(std::string("quiet ip=") + method);
    CHECK(options.by == AddressBy::kDhcp);
    CHECK(options.interface.empty());
  }
  CHECK(one("ip=auto6").by == AddressBy::kAuto6);
  CHECK(one("ip=off").by == AddressBy::kOff);
  CHECK(one("ip=none").by == AddressBy::kOff);
  CHECK(parse("root=/dev/vda1 console=ttyS0").interfaces.empty());
}

TEST_CASE("network options: an interface with its method, MTU and MAC") {
  InterfaceOptions options = one("ip=ens3:dhcp");
  CHECK(options.interface == "ens3");
  CHECK(options.by == AddressBy::kDhcp);
  CHECK_FALSE(options.mtu);
  options = one("ip=ens3:dhcp:9000:52:54:00:12:34:5f");
  CHECK(options.mtu == 9000);
  REQUIRE(options.mac);
  CHECK(to_text(*options.mac) == "52:54:00:12:34:5f");
  options = one("ip=ens3:any::52:54:00:12:34:56");
  CHECK_FALSE(options.mtu);
  CHECK(options.mac.has_value());
  CHECK(one("ip=ens3:auto6").by == AddressBy::kAuto6);
}

TEST_CASE("network options: a static address") {
  InterfaceOptions options = one("ip=192.0.2.5::192.0.2.1:255.255.255.128:crash:ens3:none");
  CHECK(options.by == AddressBy::kStatic);
  CHECK(text_of(options.address) == "192.0.2.5/25");
  CHECK(text_of(options.gateway) == "192.0.2.1");
  CHECK(options.interface == "ens3");
  CHECK_FALSE(options.peer);
  options = one("ip=192.0.2.5:192.0.2.9:192.0.2.1:24::eth0:off:1400:02-00-00-00-00-01");
  CHECK(text_of(options.address) == "192.0.2.5/24");
  CHECK(text_of(options.peer) == "192.0.2.9");
  CHECK(options.mtu == 1400);
  CHECK(options.mac.has_value());
  options = one("ip=192.0.2.5:198.51.100.9/32:::::");
  CHECK(text_of(options.address) == "192.0.2.5/32");
  CHECK(text_of(options.peer) == "198.51.100.9");
  // Without a mask: as long as the address's class says. Fields at the end may be missing.
  CHECK(text_of(one("ip=10.1.2.3::10.0.0.1").address) == "10.1.2.3/8");
  CHECK(text_of(one("ip=172.16.0.1:::::eth1:").address) == "172.16.0.1/16");
  CHECK(text_of(one("ip=192.168.1.2/30::::").address) == "192.168.1.2/30");
}

TEST_CASE("network options: the kernel's own way to ask for DHCP") {
  InterfaceOptions options = one("ip=:::::eth0:dhcp");
  CHECK(options.by == AddressBy::kDhcp);
  CHECK(options.interface == "eth0");
  CHECK_FALSE(options.address);
  CHECK(one("ip=::::host::dhcp").interface.empty());
}

TEST_CASE("network options: IPv6 stands in brackets") {
  InterfaceOptions options = one("ip=[2001:db8::5]::[2001:db8::1]:48:host:eth0:none");
  CHECK(text_of(options.address) == "2001:db8::5/48");
  CHECK(text_of(options.gateway) == "2001:db8::1");
  CHECK(text_of(one("ip=[2001:db8::5]:::::eth0:none").address) == "2001:db8::5/64");
}

TEST_CASE("network options: name servers stand in ip= or by themselves") {
  NetworkOptions options = parse(
      "ip=192.0.2.5::192.0.2.1:24::eth0:none:192.0.2.53:[2001:db8::53] "
      "nameserver=198.51.100.1 nameserver=2001:db8::1 nameserver=[2001:db8::2]");
  CHECK(options.problems.empty());
  REQUIRE(options.name_servers.size() == 5);
  CHECK(to_text(options.name_servers[0]) == "192.0.2.53");
  CHECK(to_text(options.name_servers[1]) == "2001:db8::53");
  CHECK(to_text(options.name_servers[4]) == "2001:db8::2");
  CHECK_FALSE(options.interfaces.at(0).mtu);
  options = parse("ip=192.0.2.5::192.0.2.1:24::eth0:none::192.0.2.53");
  CHECK(options.name_servers.size() == 1);
}

TEST_CASE("network options: routes, names and the boot interface") {
  NetworkOptions options = parse(
      "rd.route=198.51.100.0/24:192.0.2.9:ens10 rd.route=[2001:db8:3::/48]:[2001:db8:2::1]:ens10 "
      "rd.route=203.0.113.0/255.255.255.0::eth0 rd.route=203.0.113.7:192.0.2.1 "
      "ifname=lan0:52:54:00:12:34:56 bootdev=lan0");
  CHECK(options.problems.empty());
  REQUIRE(options.routes.size() == 4);
  CHECK(to_text(options.routes[0].destination) == "198.51.100.0/24");
  CHECK(text_of(options.routes[0].gateway) == "192.0.2.9");
  CHECK(options.routes[0].interface == "ens10");
  CHECK(to_text(options.routes[1].destination) == "2001:db8:3::/48");
  CHECK(text_of(options.routes[1].gateway) == "2001:db8:2::1");
  CHECK(to_text(options.routes[2].destination) == "203.0.113.0/24");
  CHECK_FALSE(options.routes[2].gateway);
  CHECK(to_text(options.routes[3].destination) == "203.0.113.7/32");
  REQUIRE(options.names.size() == 1);
  CHECK(options.names[0].interface == "lan0");
  CHECK(to_text(options.names[0].mac) == "52:54:00:12:34:56");
  CHECK(options.boot_interface == "lan0");
}

TEST_CASE("network options: what is wrong is reported, and the rest is taken") {
  constexpr const char* kWrong[] = {
      "ip",
      "ip=",
      "ip=dchp",
      "ip=ibft",
      "ip=eth0:ibft",
      "ip=eth0:dchp",
      "ip=eth0:dhcp:67",
      "ip=eth0:dhcp:65536",
      "ip=eth0:dhcp:1500:52:54:00:12:34",
      "ip=eth0:dhcp:1500:52:54:00:12:34:5g",
      "ip=192.0.2.5",
      "ip=192.0.2.256::192.0.2.1:24::eth0:none",
      "ip=192.0.2.5::192.0.2:24::eth0:none",
      "ip=192.0.2.5:x:192.0.2.1:24::eth0:none",
      "ip=192.0.2.5:[2001:db8::1]::24::eth0:none",
      "ip=192.0.2.5::192.0.2.1:33::eth0:none",
      "ip=192.0.2.5::192.0.2.1:255.0.255.0::eth0:none",
      "ip=192.0.2.5::[2001:db8::1]:24::eth0:none",
      "ip=192.0.2.5::192.0.2.1:24::a/b:none",
      "ip=192.0.2.5::192.0.2.1:24::an-interface-too-long:none",
      "ip=192.0.2.5::192.0.2.1:24::eth0:some",
      "ip=192.0.2.5::192.0.2.1:24::eth0:none:192.0.2.53:x",
      "ip=2001:db8::5::[2001:db8::1]:64::eth0:none",
      "ip=:::::eth0:none",
      "nameserver=",
      "nameserver=dns.example",
      "rd.route=default:192.0.2.1",
      "rd.route=198.51.100.0/24",
      "rd.route=198.51.100.0/24:[2001:db8::1]",
      "rd.route=198.51.100.0/24:192.0.2.1:/",
      "ifname=eth0",
      "ifname=:52:54:00:12:34:56",
      "ifname=eth0:52:54",
      "bootdev=",
      "vlan=vlan5:eth0",
      "bond=bond0:eth0,eth1",
  };
  for (std::string text : kWrong) {
    CAPTURE(text);
    NetworkOptions options = parse(text + " ip=eth9:dhcp nameserver=192.0.2.99");
    CHECK(options.problems.size() == 1);
    REQUIRE(options.interfaces.size() == 1);
    CHECK(options.interfaces[0].interface == "eth9");
    CHECK(options.routes.empty());
    CHECK(options.names.empty());
    CHECK(to_text(options.name_servers.back()) == "192.0.2.99");
  }
}

TEST_CASE("network options: no more of each than fit") {
  std::string text;
  for (size_t i = 0; i < 3 * kMaxNetworkOptions; i++) text += "ip=eth0:dhcp nameserver=192.0.2.1 ";
  NetworkOptions options = parse(text);
  CHECK(options.interfaces.size() == kMaxNetworkOptions);
  CHECK(options.name_servers.size() == kMaxNetworkOptions);
  CHECK(options.problems.size() == kMaxNetworkOptions);
  CHECK(parse("ip=" + std::string(5000, ':')).problems.size() == 1);
}

TEST_CASE("addresses: masks and their lengths") {
  CHECK(parse_netmask("255.255.255.255", false) == 32);
  CHECK(parse_netmask("0.0.0.0", false) == 0);
  CHECK(parse_netmask("255.0.255.0", false) == std::nullopt);
  CHECK(parse_netmask("", false) == std::nullopt);
  CHECK(parse_netmask("-1", false) == std::nullopt);
  CHECK(parse_netmask("128", true) == 128);
  CHECK(parse_netmask("129", true) == std::nullopt);
  CHECK_FALSE(parse_ip("[2001:db8::1"));
  CHECK_FALSE(parse_ip(""));
  CHECK_FALSE(parse_ip("[]"));
  CHECK_FALSE(parse_mac("52:54:00:12:34:56:78"));
  CHECK_FALSE(parse_mac("52:54:00:12:34: 6"));
  CHECK(classful_prefix(*parse_ip("127.0.0.1")) == 8);
  CHECK(classful_prefix(*parse_ip("128.0.0.1")) == 16);
  CHECK(classful_prefix(*parse_ip("192.0.0.1")) == 24);
}
