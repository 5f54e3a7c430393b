#include <doctest/doctest.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include <thread>

#include "capture/base/clock.h"
#include "capture/cli/config.h"
#include "initrd-hooks/standalone/network/network.h"
#include "initrd-hooks/standalone/network/resolver.h"
#include "tests/unit/support/dhcp_server.h"
#include "tests/unit/support/network_namespace.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using test::DhcpServer;
using test::link_named;
using test::NetworkNamespace;

namespace {

// A network of one's own, with a wire from lan0 to lan1, and what becomes of it.
class Bench {
 public:
  Bench() {
    test::make_veth("lan0", "lan1");
    set_up("lan1");
  }

  static void set_up(const char* name) {
    auto links = NetLinks::open();
    REQUIRE(links.ok());
    REQUIRE(links->set_up(link_named(name)).ok());
  }

  Status bring_up(std::string_view command_line, int64_t limit_ms = 20000,
                  int64_t others_ms = 300) {
    auto file = open_file((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file.ok());
    Log log(file->get());
    return bring_up_network(parse_command_line(command_line), log,
                            {.all_ms = limit_ms, .others_ms = others_ms, .carrier_ms = 300},
                            {.resolver = folder_ / "resolv.conf"});
  }

  [[nodiscard]] std::string log() const { return text("log"); }
  [[nodiscard]] bool said(const char* what) const { return log().find(what) != std::string::npos; }
  [[nodiscard]] std::string text(const char* name) const {
    auto content = read_text_file((folder_ / name).c_str());
    return content.ok() ? *content : "";
  }

 private:
  NetworkNamespace network_;
  test::TempDir folder_;
};

size_t lines_with(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) count++;
  return count;
}

std::string ipv4_routes() { return test::proc_text("/proc/thread-self/net/route"); }

// 192.0.2.1 as proc_net(5) writes it.
constexpr const char* kDefaultRoute = "lan0\t00000000\t010200C0\t0003";
constexpr const char* kOwnNetwork = "lan0\t000200C0\t00000000\t0001";

}  // namespace

TEST_CASE("network: names that cannot be resolved are those that were known") {
  test::TempDir dir;
  Log log(-1);
  // Without the file there is nothing to do.
  CHECK(fall_back_on_known_addresses(dir / "known", dir / "hosts", true, log).ok());
  CHECK(dir.tree().empty());
  test::write_file(dir / "known",
                   "# ADDRESS NAME\n192.0.2.1 one.invalid\n127.0.0.1 localhost\nodd\n\n"
                   "2001:db8::1 one.invalid\n192.0.2.2 two.invalid");
  test::write_file(dir / "hosts", "192.0.2.9 nine");
  REQUIRE(fall_back_on_known_addresses(dir / "known", dir / "hosts", true, log).ok());
  CHECK(test::read_file(dir / "hosts") ==
        "192.0.2.9 nine\n192.0.2.1 one.invalid\n2001:db8::1 one.invalid\n192.0.2.2 two.invalid\n");
  // Without a name server nobody is waited for.
  test::write_file(dir / "known", "192.0.2.1 localhost\n");
  test::write_file(dir / "hosts", "");
  REQUIRE(fall_back_on_known_addresses(dir / "known", dir / "hosts", false, log).ok());
  CHECK(test::read_file(dir / "hosts") == "\n192.0.2.1 localhost\n");
}

TEST_CASE("network: names are asked for until no server answers, or the time is over") {
  static std::string asked;
  static int answer;
  asked.clear();
  constexpr int64_t kNever = int64_t{1} << 40;
  NameQueries queries{.ask =
                          [](const char* name) {
                            asked += std::string(name) + " ";
                            return answer;
                          },
                      .limit_ms = kNever,
                      .silence_ms = 0};
  std::string expected = "one two ";
  std::string hosts = "\n192.0.2.1 one\n192.0.2.2 two\n2001:db8::2 two\n";
  SUBCASE("silence") {
    answer = EAI_AGAIN;
    expected = "one ";
  }
  SUBCASE("a server that cannot tell now") {
    answer = EAI_AGAIN;
    queries.silence_ms = kNever;
  }
  SUBCASE("no such name") { answer = EAI_NONAME; }
  SUBCASE("all are resolved") {
    answer = 0;
    hosts.clear();
  }
  SUBCASE("the first one, too late") {
    answer = 0;
    queries.limit_ms = 0;
    expected = "one ";
    hosts = "\n192.0.2.2 two\n2001:db8::2 two\n";
  }
  test::TempDir dir;
  test::write_file(dir / "hosts", "");
  test::write_file(dir / "known", "192.0.2.1 one\n192.0.2.2 two\n2001:db8::2 two\n");
  REQUIRE(fall_back_on_known_addresses(dir / "known", dir / "hosts", true, Log(-1), queries).ok());
  CHECK(asked == expected);
  CHECK(test::read_file(dir / "hosts") == hosts);
}

TEST_CASE("network: without ip= every interface asks by DHCP") {
  Bench bench;
  DhcpServer server("lan1", DhcpServer::Mood::kGrants, {26, 2, 5, 120});
  // lan1 asks too, and nobody answers it.
  Status status = bench.bring_up("quiet");
  INFO(bench.log());
  REQUIRE(status.ok());
  CHECK(bench.said("no ip= on the kernel's command line: DHCP on every interface"));
  CHECK(bench.said("192.0.2.5/24, gateway 192.0.2.1, by DHCP from 192.0.2.1, lease 3600 s"));
  CHECK(bench.said("lan1 (veth"));
  CHECK(bench.said("it has a carrier, but no DHCP server answers"));
  CHECK(ipv4_routes().find(kDefaultRoute) != std::string::npos);
  CHECK(ipv4_routes().find(kOwnNetwork) != std::string::npos);
  CHECK(bench.text("resolv.conf") == "nameserver 192.0.2.53\nsearch lan\n");
  CHECK(test::proc_text("/proc/sys/net/ipv4/tcp_mtu_probing") == "1\n");
  CHECK(link_named("lo").up);
  // A second child does it all again.
  Status again = bench.bring_up("ip=lan0:dhcp nameserver=198.51.100.53");
  INFO(bench.log());
  CHECK(again.ok());
  CHECK(lines_with(ipv4_routes(), kDefaultRoute) == 1);
  CHECK(bench.text("resolv.conf") ==
        "nameserver 198.51.100.53\nnameserver 192.0.2.53\nsearch lan\n");
}

TEST_CASE("network: one that still asks is waited for longer than one without a carrier") {
  Bench bench;
  DhcpServer server("lan1", DhcpServer::Mood::kGrants, {26, 2, 5, 120});
  {
    // lan1 asks too, and is not answered before it asks again, which is later than carrier_ms.
    DhcpServer slow("lan0", DhcpServer::Mood::kGrantsLate);
    REQUIRE(bench.bring_up("quiet", 60000, 60000).ok());
  }
  INFO(bench.log());
  CHECK(lines_with(bench.log(), "by DHCP from") == 2);
  // far0 has no carrier, as its other end is down: it has carrier_ms only.
  Fd elsewhere = test::make_network_namespace();
  test::make_veth("far0", "far1", elsewhere.get());
  uint64_t start = monotonic_ms();
  REQUIRE(bench.bring_up("ip=lan1:off ip=dhcp", 60000, 60000).ok());
  CHECK(bench.said("far0 (veth"));
  CHECK(monotonic_ms() - start < 50000);
}

TEST_CASE("network: a static address, its gateway and more routes") {
  Bench bench;
  Status status = bench.bring_up(
      "ip=192.0.2.9::192.0.2.1:24::lan0:none:1300 ip=[2001:db8::9]::[2001:db8::1]:64::lan0:none "
      "nameserver=192.0.2.53 rd.route=198.51.100.0/24:192.0.2.2:lan0 ip=nonsense");
  INFO(bench.log());
  REQUIRE(status.ok());
  CHECK(bench.said("nonsense: is no method or address for ip="));
  CHECK(bench.said("192.0.2.9/24, gateway 192.0.2.1"));
  CHECK(bench.said("2001:db8::9/64, gateway 2001:db8::1"));
  CHECK(ipv4_routes().find(kDefaultRoute) != std::string::npos);
  CHECK(ipv4_routes().find("lan0\t006433C6\t020200C0\t0003") != std::string::npos);
  CHECK(test::proc_text("/proc/thread-self/net/if_inet6").find("20010db80000000000000000000000") !=
        std::string::npos);
  CHECK(test::proc_text("/proc/sys/net/ipv6/conf/lan0/mtu") == "1300\n");
  CHECK(bench.text("resolv.conf") == "nameserver 192.0.2.53\n");
}

TEST_CASE("network: an address without an interface goes to the first that has a carrier") {
  Bench bench;
  test::make_veth("dead0", "dead1");
  REQUIRE(bench.bring_up("ip=192.0.2.9::192.0.2.1:24:::none").ok());
  // dead0 and dead1 are set up too and so have a carrier; but one of all has the address.
  CHECK(lines_with(ipv4_routes(), "\t000200C0\t00000000\t0001") == 1);
  CHECK(lines_with(bench.log(), "192.0.2.9/24") == 1);
}

TEST_CASE("network: the boot interface has the default route, another has its own network") {
  Bench bench;
  REQUIRE(bench
              .bring_up("ip=192.0.2.9::192.0.2.1:24::lan0:none "
                        "ip=198.51.100.9::198.51.100.1:24::lan1:none bootdev=lan1")
              .ok());
  CHECK(ipv4_routes().find(kDefaultRoute) == std::string::npos);
  CHECK(ipv4_routes().find(kOwnNetwork) != std::string::npos);
  CHECK(ipv4_routes().find("lan1\t00000000\t016433C6\t0003") != std::string::npos);
}

TEST_CASE("network: ifname= gives a name, ip= can use it") {
  Bench bench;
  std::string mac = to_text(link_named("lan0").mac);
  Status status = bench.bring_up("ifname=save0:" + mac +
                                 " ip=192.0.2.9:::24::save0:none:1400:02-00-00-00-00-09");
  INFO(bench.log());
  REQUIRE(status.ok());
  CHECK(to_text(link_named("save0").mac) == "02:00:00:00:00:09");
}

TEST_CASE("network: an interface may come later") {
  NetworkNamespace network;
  test::TempDir folder;
  std::thread late([] {
    ::usleep(300 * 1000);
    test::make_veth("lan0", "lan1");
    Bench::set_up("lan1");
  });
  Status status = bring_up_network(parse_command_line("ip=192.0.2.9:::24::lan0:none"), Log(-1),
                                   {.all_ms = 20000}, {.resolver = folder / "resolv.conf"});
  late.join();
  CHECK(status.ok());
}

TEST_CASE("network: no interface has an address: each of them is told") {
  Bench bench;
  test::make_veth("dead0", "dead1");
  SUBCASE("nobody answers, or there is no carrier") {
    Status status = bench.bring_up("ip=lan0:dhcp ip=dead0:dhcp ip=eth7:dhcp", 2500);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kTimeout);
    CHECK(
        bench.said("it has a carrier, but no DHCP server answers; "
                   "ip=ADDRESS::GATEWAY:NETMASK::lan0:none needs none"));
    CHECK(bench.said("dead0 (veth"));
    CHECK(bench.said("no carrier: is the cable in"));
    CHECK(bench.said("there is no interface eth7"));
  }
  SUBCASE("the server refuses") {
    DhcpServer server("lan1", DhcpServer::Mood::kRefuses);
    CHECK_FALSE(bench.bring_up("ip=lan0:dhcp", 2500).ok());
    CHECK(bench.said("the DHCP server refuses the address that it offered"));
  }
  SUBCASE("the server falls silent") {
    DhcpServer server("lan1", DhcpServer::Mood::kSilentAfterOffer);
    CHECK_FALSE(bench.bring_up("ip=lan0:dhcp", 3500).ok());
    CHECK(bench.said("the DHCP server does not grant what it offered"));
    CHECK(server.requests() > 1);
  }
}

TEST_CASE("network: nothing to use") {
  NetworkNamespace network;
  Status status = bring_up_network({}, Log(-1), {.all_ms = 300}, {});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().what() == std::string("there is no network interface"));
  status = bring_up_network(parse_command_line("ip=off"), Log(-1), {.all_ms = 300}, {});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().kind() == ErrorKind::kUsage);
}

TEST_CASE("resolver: each server once, and three of them") {
  auto ip = [](const char* text) { return *parse_ip(text); };
  CHECK(resolver_text({ip("192.0.2.1"), ip("192.0.2.1"), ip("2001:db8::1")}, "") ==
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\n");
  CHECK(lines_with(resolver_text(
                       {ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"), ip("192.0.2.4")}, "x"),
                   "nameserver") == 3);
  test::TempDir folder;
  test::write_file(folder / "resolv.conf", "as it was");
  REQUIRE(write_resolver(folder / "resolv.conf", {}, "x").ok());
  CHECK(*read_text_file((folder / "resolv.conf").c_str()) == "as it was");
  REQUIRE(write_resolver(folder / "resolv.conf", {ip("192.0.2.1")}, "x").ok());
  CHECK(*read_text_file((folder / "resolv.conf").c_str()) == "nameserver 192.0.2.1\nsearch x\n");
}
