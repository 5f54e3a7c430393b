// DHCP on an interface that has no address yet: packets of IPv4 and UDP, built and taken apart
// here.
//
// Thread safety: a socket belongs to one thread.
#pragma once

#include <vector>

#include "capture/base/fd.h"

namespace dw {

inline constexpr uint16_t kDhcpServerPort = 67;
inline constexpr uint16_t kDhcpClientPort = 68;

// From 0.0.0.0 to everybody.
std::vector<std::byte> build_dhcp_packet(Bytes message);

// The message in a packet for a client's port; nothing: it is something else. The checksum of UDP
// is not looked at: a server on the same machine leaves it to a network card that is not there.
std::optional<Bytes> dhcp_payload(Bytes packet);

class DhcpSocket {
 public:
  static Result<DhcpSocket> open(uint32_t interface_index);

  [[nodiscard]] int fd() const { return fd_.get(); }
  Status send(Bytes message) const;

  // The next message that has arrived, if any; it stays valid until the next call.
  std::optional<Bytes> receive();

 private:
  DhcpSocket(Fd fd, uint32_t interface_index)
      : fd_(std::move(fd)), index_(interface_index), packet_(kMaxPacket) {}

  static constexpr size_t kMaxPacket = 2048;

  Fd fd_;
  uint32_t index_;
  std::vector<std::byte> packet_;
};

}  // namespace dw
