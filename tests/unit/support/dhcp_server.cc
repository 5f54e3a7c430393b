#include "tests/unit/support/dhcp_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "initrd-hooks/standalone/network/dhcp_socket.h"
#include "tests/unit/support/dhcp_reply.h"

namespace dw::test {

namespace {

constexpr size_t kHeaders = 28;  // of IPv4 and UDP

sockaddr_ll everybody(int index) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = index;
  address.sll_halen = ETH_ALEN;
  std::fill_n(address.sll_addr, ETH_ALEN, 0xff);
  return address;
}

}  // namespace

DhcpServer::DhcpServer(const std::string& interface, Mood mood, std::vector<uint8_t> more)
    : mood_(mood),
      more_(std::move(more)),
      index_(static_cast<int>(::if_nametoindex(interface.c_str()))),
      socket_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  REQUIRE(index_ > 0);
  sockaddr_ll address = everybody(index_);
  REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  thread_ = std::thread([this] { run(); });
}

DhcpServer::~DhcpServer() {
  stop_ = true;
  thread_.join();
}

void DhcpServer::run() {
  std::vector<std::byte> packet(2048);
  while (!stop_) {
    pollfd wanted{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, 10);
    ssize_t size = ::recv(socket_.get(), packet.data(), packet.size(), 0);
    if (size < static_cast<ssize_t>(kHeaders + 243)) continue;
    Bytes received = Bytes(packet).first(static_cast<size_t>(size));
    if (received[9] == std::byte{17} && ntohs(load<uint16_t>(received, 22)) == kDhcpServerPort)
      answer(received.subspan(kHeaders));
  }
}

void DhcpServer::answer(Bytes message) {
  auto type = static_cast<uint8_t>(message[242]);
  if (mood_ == Mood::kGrantsLate && !std::exchange(was_asked_, true)) return;
  if (type == 3) requests_++;
  if (type == 3 && mood_ == Mood::kSilentAfterOffer) return;
  MacAddress mac;
  std::ranges::copy(message.subspan(28, 6), mac.bytes.begin());
  uint8_t grant = mood_ == Mood::kRefuses ? 6 : 5;
  ReplyBuilder reply(type == 1 ? 2 : grant, ntohl(load<uint32_t>(message, 4)), mac,
                     *parse_ip("192.0.2.5"));
  reply.option(54, {192, 0, 2, 1})
      .option(1, {255, 255, 255, 0})
      .option(3, {192, 0, 2, 1})
      .option(6, {192, 0, 2, 53})
      .option(15, {'l', 'a', 'n'})
      .option(51, {0, 0, 14, 16})
      .raw(more_);
  send(reply.bytes());
}

// A client's packet with the ports the other way round; its addresses do not matter.
void DhcpServer::send(Bytes message) const {
  std::vector<std::byte> packet = build_dhcp_packet(message);
  std::swap(packet[21], packet[23]);
  sockaddr_ll address = everybody(index_);
  ::sendto(socket_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&address),
           sizeof(address));
}

}  // namespace dw::test
