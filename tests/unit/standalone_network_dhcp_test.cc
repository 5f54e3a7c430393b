// The DHCP client and a real server that knows nothing of it.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "capture/cli/config.h"
#include "initrd-hooks/standalone/network/network.h"
#include "tests/unit/support/network_namespace.h"
#include "tests/unit/support/server_process.h"

using namespace dw;
using test::link_named;

namespace {

// lan0 is ours; at the other end of the wire, in a network of its own, a server.
class Lan {
 public:
  explicit Lan(std::vector<std::string> options) {
    test::make_veth("lan0", "lan1", other_.get());
    test::InsideNamespace inside(other_);
    auto links = NetLinks::open();
    REQUIRE(links.ok());
    REQUIRE(links->set_up(link_named("lan1")).ok());
    REQUIRE(links->add_address(link_named("lan1"), *parse_prefix("192.0.2.1/24"), {}).ok());
    options.insert(options.begin(), "lan1");
    server_.emplace("dhcp", std::move(options));
  }

  Status bring_up(std::string_view command_line, int64_t limit_ms = 30000) {
    auto file = open_file((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file.ok());
    return bring_up_network(parse_command_line(command_line), Log(file->get()),
                            {.all_ms = limit_ms, .others_ms = 300, .carrier_ms = 300},
                            {.resolver = folder_ / "resolv.conf"});
  }

  [[nodiscard]] std::string text(const char* name) const {
    auto content = read_text_file((folder_ / name).c_str());
    return content.ok() ? *content : "";
  }
  [[nodiscard]] std::string server_log() const {
    return test::read_file(server_->folder() / "log");
  }

 private:
  test::NetworkNamespace network_;
  Fd other_ = test::make_network_namespace();
  std::optional<test::ServerProcess> server_;
  test::TempDir folder_;
};

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("network: dnsmasq gives all that counts") {
  Lan lan({"--dhcp-range=192.0.2.50,192.0.2.50,255.255.255.0,1h",
           "--dhcp-option=option:router,192.0.2.1", "--dhcp-option=option:dns-server,192.0.2.53",
           "--dhcp-option=option:mtu,1400", "--domain=crash.example",
           "--dhcp-option=option:classless-static-route,198.51.100.0/24,192.0.2.9,0.0.0.0/0,"
           "192.0.2.1"});
  Status status = lan.bring_up("ip=dhcp");
  INFO(lan.text("log"));
  INFO(lan.server_log());
  REQUIRE(status.ok());
  CHECK(has(lan.text("log"),
            "192.0.2.50/24, gateway 192.0.2.1, by DHCP from 192.0.2.1, lease 3600 s"));
  CHECK(lan.text("resolv.conf") == "nameserver 192.0.2.53\nsearch crash.example\n");
  std::string routes = test::proc_text("/proc/thread-self/net/route");
  CHECK(has(routes, "lan0\t00000000\t010200C0\t0003"));
  CHECK(has(routes, "lan0\t006433C6\t090200C0\t0003"));
  CHECK(test::proc_text("/proc/sys/net/ipv6/conf/lan0/mtu") == "1400\n");
  // What it is: the server saw a client that asked, and said what it is.
  CHECK(has(lan.server_log(), "vendor class: dumpwright"));
  CHECK(has(lan.server_log(), "DHCPACK(lan1) 192.0.2.50"));
  // A second child gets the same address again.
  REQUIRE(lan.bring_up("ip=lan0:dhcp").ok());
  CHECK(has(lan.text("log"), "192.0.2.50/24"));
}

TEST_CASE("network: dnsmasq has no address left") {
  Lan lan({"--dhcp-range=192.0.2.50,192.0.2.50,255.255.255.0,1h",
           "--dhcp-host=02:00:00:00:00:99,192.0.2.50"});
  Status status = lan.bring_up("ip=lan0:dhcp", 2500);
  REQUIRE_FALSE(status.ok());
  CHECK(has(lan.text("log"), "it has a carrier, but no DHCP server answers"));
  CHECK(has(lan.server_log(), "no address available"));
}
