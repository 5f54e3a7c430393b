#include <doctest/doctest.h>

#include <algorithm>

#include "initrd-hooks/standalone/network/dhcp_exchange.h"
#include "initrd-hooks/standalone/network/dhcp_socket.h"
#include "tests/unit/support/dhcp_reply.h"

using namespace dw;
using test::ReplyBuilder;

namespace {

const MacAddress kMac = *parse_mac("52:54:00:12:34:56");
constexpr uint32_t kTransaction = 0x01020304;

IpAddress ip(const char* text) { return *parse_ip(text); }

ReplyBuilder reply(uint8_t type, const char* address = "192.0.2.5") {
  return ReplyBuilder(type, kTransaction, kMac, ip(address)).option(54, {192, 0, 2, 1});
}

DhcpReply parsed(const ReplyBuilder& builder) {
  auto result = parse_dhcp(builder.bytes());
  REQUIRE(result.ok());
  return *result;
}

// The type of a message from the client, 0 if there is none.
int type_of(const std::optional<std::vector<std::byte>>& message) {
  if (!message) return 0;
  REQUIRE(message->size() >= 300);
  return static_cast<int>((*message)[242]);
}

}  // namespace

TEST_CASE("dhcp: every option that counts") {
  DhcpReply got = parsed(reply(5)
                             .option(1, {255, 255, 255, 128})
                             .option(3, {192, 0, 2, 1, 192, 0, 2, 2})
                             .option(6, {192, 0, 2, 53})
                             .option(15, {'l', 'a', 'n', '.', 'x', 0})
                             .option(26, {5, 220})
                             .option(51, {0, 0, 14, 16})
                             .option(121, {24, 198, 51, 100, 192, 0, 2, 9, 0, 192, 0, 2, 1}));
  CHECK(got.type == DhcpType::kAck);
  CHECK(got.transaction == kTransaction);
  CHECK(got.mac == kMac);
  CHECK(to_text(got.address) == "192.0.2.5");
  CHECK(got.server == ip("192.0.2.1"));
  CHECK(got.mask == ip("255.255.255.128"));
  CHECK(got.routers == std::vector{ip("192.0.2.1"), ip("192.0.2.2")});
  CHECK(got.name_servers == std::vector{ip("192.0.2.53")});
  CHECK(got.domain == "lan.x");
  CHECK(got.mtu == 1500);
  CHECK(got.lease_s == 3600);
  REQUIRE(got.routes.size() == 2);
  CHECK(to_text(got.routes[0].destination) == "198.51.100.0/24");
  CHECK(to_text(got.routes[0].gateway) == "192.0.2.9");
  CHECK(to_text(got.routes[1].destination) == "0.0.0.0/0");
}

TEST_CASE("dhcp: options in several pieces, and in the fields for names") {
  DhcpReply got = parsed(reply(2)
                             .option(6, {192, 0})
                             .option(6, {2, 53})
                             .option(52, {3})
                             .in_boot_file({15, 1, 'x', 255})
                             .in_server_name({3, 4, 192, 0, 2, 7, 255}));
  CHECK(got.name_servers == std::vector{ip("192.0.2.53")});
  CHECK(got.domain == "x");
  CHECK(got.routers == std::vector{ip("192.0.2.7")});
  // Without option 52 those fields are names.
  CHECK(parsed(reply(2).in_boot_file({15, 1, 'x', 255})).domain.empty());
}

TEST_CASE("dhcp: values that would do harm are left out") {
  DhcpReply got = parsed(reply(2)
                             .option(15, {'a', '\n', 'b'})
                             .option(26, {0, 68})
                             .option(3, {192, 0, 2})
                             .option(51, {1})
                             .option(1, {255})
                             .option(121, {33, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  CHECK(got.domain.empty());
  CHECK_FALSE(got.mtu);
  CHECK(got.routers.empty());
  CHECK_FALSE(got.lease_s);
  CHECK_FALSE(got.mask);
  CHECK(got.routes.empty());
  ReplyBuilder many = reply(2);
  for (int i = 0; i < 8; i++) many.option(6, std::vector<uint8_t>(64, 1));
  CHECK(parsed(many).name_servers.size() == kMaxDhcpItems);
  // One that is longer than the message ends the list.
  CHECK(parsed(reply(2).raw({6, 200, 1, 2, 3, 4})).name_servers.empty());
}

TEST_CASE("dhcp: what is no reply for us") {
  auto whole = reply(2).bytes();
  for (size_t size = 0; size < 240; size++) CHECK_FALSE(parse_dhcp(Bytes(whole).first(size)).ok());
  struct {
    size_t at;
    uint8_t value;
  } damages[] = {{0, 1}, {1, 6}, {2, 16}, {236, 0}, {242, 9}, {242, 1}, {241, 2}};
  for (const auto& [at, value] : damages) {
    CAPTURE(at);
    auto damaged = whole;
    damaged[at] = static_cast<std::byte>(value);
    CHECK_FALSE(parse_dhcp(damaged).ok());
  }
  for (const char* address : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    CHECK_FALSE(parse_dhcp(reply(2, address).bytes()).ok());
    CHECK_FALSE(parse_dhcp(reply(5, address).bytes()).ok());
    CHECK(parse_dhcp(reply(6, address).bytes()).ok());
  }
}

TEST_CASE("dhcp: a packet around a message") {
  auto message = build_dhcp({.transaction = kTransaction, .mac = kMac});
  auto packet = build_dhcp_packet(message);
  CHECK_FALSE(dhcp_payload(packet));  // it goes to a server
  std::swap(packet[21], packet[23]);
  auto payload = dhcp_payload(packet);
  REQUIRE(payload);
  CHECK(std::ranges::equal(*payload, message));
  for (size_t size = 0; size < packet.size(); size++)
    CHECK_FALSE(dhcp_payload(Bytes(packet).first(size)));
  // Version, length of header and packet, fragment, protocol, checksum, ports, length of UDP.
  for (size_t at : {0, 2, 3, 6, 9, 10, 20, 21, 22, 23, 24}) {
    CAPTURE(at);
    auto damaged = packet;
    damaged[at] ^= std::byte{0x24};
    CHECK_FALSE(dhcp_payload(damaged));
  }
  // Ethernet pads short packets.
  packet.resize(packet.size() + 20);
  CHECK(dhcp_payload(packet)->size() == message.size());
}

TEST_CASE("dhcp: discover, offer, request, ack") {
  DhcpExchange client(kMac, kTransaction, 1000);
  auto discover = client.due(1000);
  CHECK(type_of(discover) == 1);
  CHECK_FALSE(client.due(1500));
  client.receive(parsed(reply(2)), 1600);
  auto request = client.due(1600);
  REQUIRE(type_of(request) == 3);
  // Option 50 and 54 follow the type: the address and the server.
  CHECK(std::ranges::equal(Bytes(*request).subspan(243, 6),
                           std::as_bytes(std::span("\x32\x04\xc0\x00\x02\x05", 6))));
  CHECK(std::ranges::equal(Bytes(*request).subspan(249, 6),
                           std::as_bytes(std::span("\x36\x04\xc0\x00\x02\x01", 6))));
  CHECK_FALSE(client.lease());
  client.receive(parsed(reply(5).option(3, {192, 0, 2, 1}).option(1, {255, 255, 0, 0})), 1700);
  REQUIRE(client.lease());
  CHECK(to_text(client.lease()->address) == "192.0.2.5/16");
  REQUIRE(client.lease()->routes.size() == 1);
  CHECK(to_text(client.lease()->routes[0].gateway) == "192.0.2.1");
  CHECK(client.lease()->routes[0].destination.length == 0);
  CHECK_FALSE(client.due(100000));
}

TEST_CASE("dhcp: classless routes take the routers' place, a missing mask the class's") {
  DhcpExchange client(kMac, kTransaction, 0);
  client.due(0);
  client.receive(parsed(reply(2)), 0);
  client.receive(parsed(reply(5).option(3, {192, 0, 2, 1}).option(121, {8, 10, 192, 0, 2, 9})), 0);
  REQUIRE(client.lease());
  CHECK(client.lease()->address.length == 24);
  REQUIRE(client.lease()->routes.size() == 1);
  CHECK(to_text(client.lease()->routes[0].destination) == "10.0.0.0/8");
}

TEST_CASE("dhcp: without an answer it is asked again, ever more slowly") {
  DhcpExchange client(kMac, kTransaction, 0);
  std::vector<int64_t> times;
  for (int64_t now = 0; now < 60000; now += 100)
    if (type_of(client.due(now)) == 1) times.push_back(now);
  REQUIRE(times.size() > 6);
  CHECK(times.size() < 12);
  CHECK(times[1] - times[0] >= DhcpExchange::kFirstWaitMs);
  for (size_t i = 2; i < times.size(); i++)
    CHECK(times[i] - times[i - 1] + 100 >= times[i - 1] - times[i - 2]);
  CHECK(times.back() >= 60000 - DhcpExchange::kLongestWaitMs - 400);
  CHECK(client.why() == std::string("no DHCP server answers"));
}

TEST_CASE("dhcp: replies that are not ours change nothing") {
  DhcpExchange client(kMac, kTransaction, 0);
  client.due(0);
  DhcpReply other = parsed(reply(2));
  other.transaction++;
  client.receive(other, 1);
  other = parsed(reply(2));
  other.mac.bytes[5] ^= std::byte{1};
  client.receive(other, 1);
  other = parsed(reply(2));
  other.server.reset();
  client.receive(other, 1);
  client.receive(parsed(reply(5)), 1);
  CHECK_FALSE(client.due(2));
  client.receive(parsed(reply(2)), 3);
  CHECK(type_of(client.due(3)) == 3);
  // A second server's offer and ack do not count once the first was taken.
  other = parsed(reply(5, "192.0.2.77"));
  other.server = ip("192.0.2.2");
  client.receive(other, 4);
  CHECK_FALSE(client.lease());
  client.receive(parsed(reply(5)), 5);
  CHECK(client.lease());
}

TEST_CASE("dhcp: a server that refuses is passed over once") {
  DhcpExchange client(kMac, kTransaction, 0);
  client.due(0);
  client.receive(parsed(reply(2)), 0);
  client.due(0);
  client.receive(parsed(reply(6, "0.0.0.0")), 10);
  CHECK(client.why() == std::string("the DHCP server refuses the address that it offered"));
  CHECK_FALSE(client.due(20));
  CHECK(type_of(client.due(5000)) == 1);
  DhcpReply offer = parsed(reply(2));
  offer.transaction++;
  client.receive(offer, 5001);
  CHECK_FALSE(client.due(5001));
  SUBCASE("another one is taken at once") {
    offer.server = ip("192.0.2.2");
    client.receive(offer, 5002);
    CHECK(type_of(client.due(5002)) == 3);
  }
  SUBCASE("where there is no other, it gets its chance") {
    CHECK(type_of(client.due(8000)) == 1);
    client.receive(offer, 8001);
    CHECK(type_of(client.due(8001)) == 3);
  }
}

TEST_CASE("dhcp: a server that falls silent after its offer is given up") {
  DhcpExchange client(kMac, kTransaction, 0);
  client.due(0);
  client.receive(parsed(reply(2)), 0);
  int requests = 0;
  int discovers = 0;
  for (int64_t now = 0; now < 20000 && discovers == 0; now += 100) {
    int type = type_of(client.due(now));
    requests += type == 3;
    discovers += type == 1;
  }
  CHECK(requests == DhcpExchange::kMaxRequests);
  CHECK(discovers == 1);
  CHECK(client.why() == std::string("the DHCP server does not grant what it offered"));
}
