// Packets from a network that nobody vouches for, as a DHCP client gets them. The first byte says
// what the rest is: a whole packet, or a message.
#include <algorithm>
#include <string_view>
#include <vector>

#include "initrd-hooks/standalone/network/dhcp_exchange.h"
#include "initrd-hooks/standalone/network/dhcp_socket.h"
#include "tests/fuzz/memory_file.h"

namespace {

using dw::fuzz::require;

void check_reply(const dw::DhcpReply& reply) {
  require(reply.type == dw::DhcpType::kNak || dw::is_host_address(reply.address));
  require(reply.routers.size() <= dw::kMaxDhcpItems);
  require(reply.name_servers.size() <= dw::kMaxDhcpItems);
  require(reply.routes.size() <= dw::kMaxDhcpItems);
  for (const dw::DhcpRoute& route : reply.routes) require(route.destination.length <= 32);
  require(!reply.mtu || *reply.mtu >= dw::kMinDhcpMtu);
  require(reply.domain.find_first_of(" \n\r\t\0#;") == reply.domain.npos);
}

// The reply answers whatever is asked: it may end in a lease, which has to be a usable one.
void exchange(dw::DhcpReply reply) {
  dw::DhcpExchange client(reply.mac, reply.transaction, 0);
  int64_t now = 0;
  for (int i = 0; i < 8; i++, now += 1000) {
    if (auto message = client.due(now)) require(message->size() >= 300);
    client.receive(reply, now);
    if (i % 2 == 1 && reply.type == dw::DhcpType::kOffer) reply.type = dw::DhcpType::kAck;
  }
  if (!client.lease()) return;
  require(dw::is_host_address(client.lease()->address.address));
  require(client.lease()->address.length <= 32);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A copy of its own, so that a sanitizer sees a step too far.
  std::vector<std::byte> bytes(size - 1);
  std::copy_n(reinterpret_cast<const std::byte*>(data + 1), size - 1, bytes.begin());
  dw::Bytes message = bytes;
  if (data[0] % 2 == 0) {
    auto payload = dw::dhcp_payload(bytes);
    if (!payload) return 0;
    message = *payload;
  }
  auto reply = dw::parse_dhcp(message);
  if (!reply.ok()) return 0;
  check_reply(*reply);
  exchange(*reply);
  return 0;
}
