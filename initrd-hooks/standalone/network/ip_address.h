// Addresses of IPv4, IPv6 and Ethernet, as text and as bytes.
//
// Thread safety: plain values.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "capture/base/bytes.h"

namespace dw {

struct IpAddress {
  bool v6 = false;
  std::array<std::byte, 16> bytes{};  // the first 4 of them for IPv4; network byte order

  [[nodiscard]] Bytes view() const { return Bytes(bytes).first(v6 ? 16 : 4); }
  [[nodiscard]] uint8_t max_prefix() const { return v6 ? 128 : 32; }
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct MacAddress {
  std::array<std::byte, 6> bytes{};
  friend bool operator==(const MacAddress&, const MacAddress&) = default;
};

// An address with the length of its network's prefix: "10.0.2.15/24".
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

// IPv6 with or without brackets; no zone. Nothing: it is no address.
std::optional<IpAddress> parse_ip(std::string_view text);
// "52:54:00:12:34:56"; dashes will do.
std::optional<MacAddress> parse_mac(std::string_view text);
// "255.255.255.0" or "24"; of a mask with holes nothing.
std::optional<uint8_t> parse_netmask(std::string_view text, bool v6);
// "NET/LENGTH", the length as for parse_netmask(); without it the prefix is a single host.
std::optional<IpPrefix> parse_prefix(std::string_view text);

// Of four bytes in network byte order.
[[nodiscard]] IpAddress ipv4_of(Bytes bytes);
[[nodiscard]] std::optional<uint8_t> prefix_of_mask(const IpAddress& mask);

// What IPv4 had before there were masks: 8, 16 or 24.
[[nodiscard]] uint8_t classful_prefix(const IpAddress& address);

[[nodiscard]] std::string to_text(const IpAddress& address);
[[nodiscard]] std::string to_text(const MacAddress& mac);
[[nodiscard]] std::string to_text(const IpPrefix& prefix);

}  // namespace dw
