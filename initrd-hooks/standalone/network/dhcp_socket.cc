#include "initrd-hooks/standalone/network/dhcp_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "capture/base/checked.h"

namespace dw {

namespace {

// Offsets in the headers of IPv4 (RFC 791), without options, and UDP (RFC 768).
constexpr size_t kIpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr size_t kTotalLength = 2;
constexpr size_t kFragment = 6;
constexpr size_t kProtocol = 9;
constexpr size_t kIpChecksum = 10;
constexpr size_t kDestination = 16;
constexpr uint16_t kFragmentBits = 0x3fff;  // "more follow" and the offset

uint16_t checksum(Bytes header) {
  uint32_t sum = 0;
  for (size_t at = 0; at + 1 < header.size(); at += 2) sum += load<uint16_t>(header, at);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

// Other traffic must not fill the socket's buffer: whole UDP packets to a client's port only.
Status attach_filter(int fd) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kProtocol),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kFragment),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kFragmentBits, 4, 0),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kDhcpClientPort, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  sock_fprog program{.len = std::size(code), .filter = code};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0) return {};
  return Error::from_errno("cannot filter what a packet socket receives");
}

sockaddr_ll address_of(uint32_t index) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = static_cast<int>(index);
  return address;
}

}  // namespace

std::vector<std::byte> build_dhcp_packet(Bytes message) {
  std::vector<std::byte> packet(kIpHeader + kUdpHeader);
  auto total = static_cast<uint16_t>(packet.size() + message.size());
  packet[0] = std::byte{0x45};
  store<uint16_t>(packet, kTotalLength, htons(total));
  packet[8] = std::byte{64};
  packet[kProtocol] = std::byte{IPPROTO_UDP};
  store<uint32_t>(packet, kDestination, INADDR_BROADCAST);
  store<uint16_t>(packet, kIpChecksum, checksum(Bytes(packet).first(kIpHeader)));
  store<uint16_t>(packet, kIpHeader, htons(kDhcpClientPort));
  store<uint16_t>(packet, kIpHeader + 2, htons(kDhcpServerPort));
  // A checksum of 0 means that there is none.
  store<uint16_t>(packet, kIpHeader + 4, htons(static_cast<uint16_t>(total - kIpHeader)));
  packet.insert(packet.end(), message.begin(), message.end());
  return packet;
}

std::optional<Bytes> dhcp_payload(Bytes packet) {
  if (packet.size() < kIpHeader) return std::nullopt;
  auto first = static_cast<uint8_t>(packet[0]);
  size_t header = (first & 0xfU) * 4;
  size_t total = ntohs(load<uint16_t>(packet, kTotalLength));
  if (first >> 4 != 4 || header < kIpHeader || total > packet.size()) return std::nullopt;
  if (total < header + kUdpHeader || checksum(packet.first(header)) != 0) return std::nullopt;
  if ((ntohs(load<uint16_t>(packet, kFragment)) & kFragmentBits) != 0) return std::nullopt;
  if (packet[kProtocol] != std::byte{IPPROTO_UDP}) return std::nullopt;
  Bytes udp = packet.subspan(header, total - header);
  if (ntohs(load<uint16_t>(udp, 0)) != kDhcpServerPort ||
      ntohs(load<uint16_t>(udp, 2)) != kDhcpClientPort)
    return std::nullopt;
  size_t length = ntohs(load<uint16_t>(udp, 4));
  if (length < kUdpHeader || length > udp.size()) return std::nullopt;
  return udp.subspan(kUdpHeader, length - kUdpHeader);
}

Result<DhcpSocket> DhcpSocket::open(uint32_t interface_index) {
  // Nothing is received before bind(), and what is does not miss the filter.
  Fd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid())
    return Error::from_errno("cannot open a packet socket for DHCP")
        .hint("the kernel needs CONFIG_PACKET, or its module af_packet in the initrd");
  DW_TRY(attach_filter(fd.get()));
  sockaddr_ll address = address_of(interface_index);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return Error::from_errno("cannot bind a packet socket for DHCP");
  return DhcpSocket(std::move(fd), interface_index);
}

Status DhcpSocket::send(Bytes message) const {
  std::vector<std::byte> packet = build_dhcp_packet(message);
  sockaddr_ll address = address_of(index_);
  address.sll_halen = ETH_ALEN;
  std::fill_n(address.sll_addr, ETH_ALEN, 0xff);
  ssize_t sent = ::sendto(fd_.get(), packet.data(), packet.size(), 0,
                          reinterpret_cast<sockaddr*>(&address), sizeof(address));
  if (sent == static_cast<ssize_t>(packet.size())) return {};
  return Error::from_errno("cannot send a DHCP message");
}

std::optional<Bytes> DhcpSocket::receive() {
  // What is not for us is passed over; a flood of it ends with the buffer's content.
  constexpr int kMaxPassedOver = 256;
  for (int i = 0; i < kMaxPassedOver; i++) {
    ssize_t size = ::recv(fd_.get(), packet_.data(), packet_.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (auto message = dhcp_payload(Bytes(packet_).first(static_cast<size_t>(size))))
      return message;
  }
  return std::nullopt;
}

}  // namespace dw
