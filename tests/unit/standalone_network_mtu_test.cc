// A path whose middle takes smaller packets than both ends and never says so.
#include <doctest/doctest.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <thread>

#include "initrd-hooks/standalone/network/network.h"
#include "tests/unit/support/network_namespace.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;
using test::InsideNamespace;
using test::link_named;

namespace {

constexpr size_t kSent = 256 * 1024;
constexpr const char* kProbing = "/proc/sys/net/ipv4/tcp_mtu_probing";

void configure(const char* name, const char* address, uint32_t mtu) {
  auto links = NetLinks::open();
  REQUIRE(links.ok());
  NetLink link = link_named(name);
  REQUIRE(links->set_mtu(link, mtu).ok());
  REQUIRE(links->set_up(link).ok());
  REQUIRE(links->add_address(link, *parse_prefix(address), {}).ok());
}

// What this network itself sends, such as "fragmentation needed", goes nowhere; what it only passes
// on does.
void send_nothing_of_its_own() {
  fib_rule_hdr header{};
  header.family = AF_INET;
  header.action = FR_ACT_BLACKHOLE;
  NetlinkRequest request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, header);
  request.add_text(FRA_IIFNAME, "lo");
  request.add_number(FRA_PRIORITY, 10);
  auto socket = NetlinkSocket::open();
  REQUIRE(socket.ok());
  REQUIRE(socket->request(std::move(request), "cannot add the rule").ok());
}

sockaddr_in server_address() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(7);
  address.sin_addr.s_addr = htonl(0x0a020002);  // 10.2.0.2
  return address;
}

Fd make_socket(int limit_s) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(fd.valid());
  timeval limit{.tv_sec = limit_s, .tv_usec = 0};
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, option, &limit, sizeof(limit)) == 0);
  return fd;
}

// Takes one connection, reads all of it and answers with a byte. Returns how much came.
size_t serve(int listener, int limit_s) {
  Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  timeval limit{.tv_sec = limit_s, .tv_usec = 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  size_t received = 0;
  char buffer[16 * 1024];
  for (;;) {
    ssize_t size = ::recv(connection.get(), buffer, sizeof(buffer), 0);
    if (size <= 0) break;
    received += static_cast<size_t>(size);
  }
  ::send(connection.get(), "!", 1, MSG_NOSIGNAL);
  return received;
}

// This network, a router and a server: 10.1.0.2 - 10.1.0.1, 10.2.0.1 - 10.2.0.2.
class Path {
 public:
  Path() {
    test::make_veth("a0", "r0", router_.get());
    {
      InsideNamespace inside(server_);
      test::make_veth("b0", "r1", router_.get());
    }
    set_up_router();
    set_up_server();
  }

  // Returns how much of kSent arrives, and stops waiting after that long without a byte.
  size_t transfer(int limit_s) {
    size_t received = 0;
    std::thread server([&] { received = serve(listener_.get(), limit_s); });
    Fd client = make_socket(limit_s);
    sockaddr_in address = server_address();
    CHECK(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    std::string data(kSent, 'x');
    CHECK(::send(client.get(), data.data(), data.size(), MSG_NOSIGNAL) > 0);
    ::shutdown(client.get(), SHUT_WR);
    char byte;
    ::recv(client.get(), &byte, 1, 0);
    server.join();
    return received;
  }

 private:
  void set_up_router() {
    InsideNamespace inside(router_);
    configure("r0", "10.1.0.1/24", 1500);
    configure("r1", "10.2.0.1/24", 1280);
    test::set_proc_text("/proc/sys/net/ipv4/ip_forward", "1");
    send_nothing_of_its_own();
  }

  void set_up_server() {
    InsideNamespace inside(server_);
    configure("b0", "10.2.0.2/24", 1500);
    auto links = NetLinks::open();
    REQUIRE(links.ok());
    REQUIRE(links->add_route({*parse_prefix("0.0.0.0/0"), parse_ip("10.2.0.1"), 0, 0}).ok());
    listener_ = make_socket(20);
    sockaddr_in address = server_address();
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
  }

  test::NetworkNamespace network_;
  Fd router_ = test::make_network_namespace();
  Fd server_ = test::make_network_namespace();
  Fd listener_;
};

}  // namespace

TEST_CASE("network: TCP finds its way where large packets vanish") {
  Path path;
  test::TempDir folder;
  REQUIRE(bring_up_network(parse_command_line("ip=10.1.0.2::10.1.0.1:24::a0:none"), Log(-1), {},
                           {.resolver = folder / "resolv.conf"})
              .ok());
  CHECK(path.transfer(30) == kSent);
  // Without what bring_up_network() set it does not: large packets do vanish.
  test::set_proc_text(kProbing, "0");
  CHECK(path.transfer(2) < kSent);
}

TEST_CASE("network: an MTU in ip= spares TCP the search") {
  Path path;
  test::TempDir folder;
  REQUIRE(bring_up_network(parse_command_line("ip=10.1.0.2::10.1.0.1:24::a0:none:1280"), Log(-1),
                           {}, {.resolver = folder / "resolv.conf"})
              .ok());
  test::set_proc_text(kProbing, "0");
  CHECK(path.transfer(30) == kSent);
}
