#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/support/network_namespace.h"

using namespace dw;
using test::link_named;
using test::NetworkNamespace;

namespace {

// "01:02 4 6" as /proc/net/route has them, cut at blanks.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (char c : line) {
    if (c != ' ' && c != '\t') {
      fields.back() += c;
    } else if (!fields.back().empty()) {
      fields.emplace_back();
    }
  }
  return fields;
}

// Destination, gateway, flags, metric and mask of each route of an interface (proc_net(5)).
std::vector<std::string> routes_of(const std::string& interface) {
  std::vector<std::string> routes;
  std::string text = test::proc_text("/proc/thread-self/net/route");
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find('\n', start);
    auto fields = fields_of(text.substr(start, end - start));
    if (fields.size() > 7 && fields[0] == interface)
      routes.push_back(fields[1] + " " + fields[2] + " " + fields[3] + " " + fields[6] + " " +
                       fields[7]);
    start = end + 1;
  }
  return routes;
}

NetLinks open_links() {
  auto links = NetLinks::open();
  REQUIRE(links.ok());
  return std::move(*links);
}

NetRoute route(const char* destination, const char* gateway, uint32_t index) {
  return {*parse_prefix(destination), gateway ? parse_ip(gateway) : std::nullopt, index, 7};
}

}  // namespace

TEST_CASE("net links: what is there, and what can be used") {
  NetworkNamespace network;
  test::make_veth("lan0", "lan1");
  test::make_software_link("soft0");
  CHECK(link_named("lo").loopback);
  CHECK_FALSE(link_named("lo").usable);
  CHECK_FALSE(link_named("soft0").usable);
  NetLink link = link_named("lan0");
  CHECK(link.usable);
  CHECK_FALSE(link.loopback);
  CHECK_FALSE(link.up);
  CHECK_FALSE(link.carrier);
  CHECK(link.driver == "veth");
  CHECK(describe(link) == "lan0 (veth, " + to_text(link.mac) + ")");
  NetLinks links = open_links();
  REQUIRE(links.set_up(link).ok());
  CHECK(link_named("lan0").up);
  CHECK_FALSE(link_named("lan0").carrier);
  REQUIRE(links.set_up(link_named("lan1")).ok());
  CHECK(test::wait_for_carrier("lan0"));
}

TEST_CASE("net links: name, MAC and MTU") {
  NetworkNamespace network;
  test::make_veth("lan0", "lan1");
  NetLinks links = open_links();
  NetLink link = link_named("lan0");
  CHECK(links.rename(link, "lan1").error().subject() == "lan0 to lan1");
  REQUIRE(links.rename(link, "wire").ok());
  REQUIRE(links.set_mac(link, *parse_mac("02:00:00:00:00:07")).ok());
  REQUIRE(links.set_mtu(link, 1280).ok());
  CHECK(to_text(link_named("wire").mac) == "02:00:00:00:00:07");
  CHECK_FALSE(links.set_mtu(link, 70000).ok());
  link.index = 999;
  CHECK(links.set_up(link).error().subject() == "lan0");
}

TEST_CASE("net links: addresses and routes of IPv4") {
  NetworkNamespace network;
  test::make_veth("lan0", "lan1");
  NetLinks links = open_links();
  NetLink link = link_named("lan0");
  REQUIRE(links.set_up(link_named("lan1")).ok());
  REQUIRE(links.set_up(link).ok());
  // Twice: the second time all of it is there already.
  for (int i = 0; i < 2; i++) {
    REQUIRE(links.add_address(link, *parse_prefix("192.0.2.5/24"), {}).ok());
    REQUIRE(links.add_route(route("0.0.0.0/0", "192.0.2.1", link.index)).ok());
    REQUIRE(links.add_route(route("198.51.100.77/24", nullptr, link.index)).ok());
    REQUIRE(links.add_route(route("203.0.113.0/24", "192.0.2.2", 0)).ok());
    // The gateway is in no network that we know.
    REQUIRE(links.add_route(route("10.0.0.0/8", "172.16.0.1", link.index)).ok());
  }
  auto routes = routes_of("lan0");
  auto has = [&](const char* text) { return std::ranges::count(routes, text); };
  CHECK(routes.size() == 5);
  CHECK(has("00000000 010200C0 0003 7 00000000") == 1);
  CHECK(has("006433C6 00000000 0001 7 00FFFFFF") == 1);
  CHECK(has("007100CB 020200C0 0003 7 00FFFFFF") == 1);
  CHECK(has("0000000A 010010AC 0003 7 000000FF") == 1);
  CHECK(has("000200C0 00000000 0001 0 00FFFFFF") == 1);
  Status none = links.add_route(route("10.0.0.0/8", "172.16.0.1", 0));
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().subject() == "10.0.0.0/8 by 172.16.0.1");
}

TEST_CASE("net links: a static address of IPv6 can be used at once") {
  NetworkNamespace network;
  test::make_veth("lan0", "lan1");
  NetLinks links = open_links();
  NetLink link = link_named("lan0");
  REQUIRE(links.set_up(link_named("lan1")).ok());
  REQUIRE(links.set_up(link).ok());
  REQUIRE(links.add_address(link, *parse_prefix("2001:db8::5/64"), {}).ok());
  REQUIRE(links.add_route(route("::/0", "2001:db8::1", link.index)).ok());
  std::string text = test::proc_text("/proc/thread-self/net/if_inet6");
  // Flags: permanent (80) and "no duplicate detection" (02); not tentative (40).
  CHECK(text.find("20010db8000000000000000000000005 0" + std::to_string(link.index) +
                  " 40 00 82     lan0") != text.npos);
  CHECK(test::proc_text("/proc/thread-self/net/ipv6_route")
            .find("00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
                  "20010db8000000000000000000000001 00000007") != std::string::npos);
  // Nobody advertised it.
  auto automatic = links.automatic_address(link);
  REQUIRE(automatic.ok());
  CHECK_FALSE(automatic->has_value());
}

TEST_CASE("net links: attributes that lie about their length end the list") {
  std::vector<std::byte> bytes(12);
  store<uint16_t>(bytes, 0, 5);
  store<uint16_t>(bytes, 2, 0x8003);
  bytes[4] = std::byte{9};
  store<uint16_t>(bytes, 8, 4);
  for (uint16_t length : std::initializer_list<uint16_t>{0, 3, 5}) {
    store<uint16_t>(bytes, 8, length);
    int seen = 0;
    for_each_attribute(bytes, [&](uint16_t type, Bytes value) {
      seen++;
      CHECK(type == 3);
      CHECK(value.size() == 1);
    });
    CHECK(seen == 1);
  }
}
