#include "initrd-hooks/standalone/network/ip_address.h"

#include <arpa/inet.h>

#include <bit>
#include <charconv>
#include <cstdio>

namespace dw {

namespace {

std::optional<uint8_t> parse_length(std::string_view text, uint8_t max) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end || value > max) return std::nullopt;
  return static_cast<uint8_t>(value);
}

std::string_view without_brackets(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return text;
  return text.substr(1, text.size() - 2);
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  bool bracketed = text.starts_with('[');
  text = without_brackets(text);
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  std::string terminated(text);
  IpAddress address;
  address.v6 = text.find(':') != text.npos;
  if (bracketed && !address.v6) return std::nullopt;
  int family = address.v6 ? AF_INET6 : AF_INET;
  if (::inet_pton(family, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  if (text.size() != 17) return std::nullopt;
  for (size_t i = 0; i < mac.bytes.size(); i++) {
    const char* digits = text.data() + 3 * i;
    if (i > 0 && digits[-1] != ':' && digits[-1] != '-') return std::nullopt;
    unsigned value = 0;
    auto [stop, error] = std::from_chars(digits, digits + 2, value, 16);
    if (error != std::errc() || stop != digits + 2) return std::nullopt;
    mac.bytes[i] = static_cast<std::byte>(value);
  }
  return mac;
}

std::optional<uint8_t> parse_netmask(std::string_view text, bool v6) {
  if (v6) return parse_length(without_brackets(text), 128);
  if (text.find('.') == text.npos) return parse_length(text, 32);
  auto mask = parse_ip(text);
  return mask ? prefix_of_mask(*mask) : std::nullopt;
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
  text = without_brackets(text);
  size_t slash = text.find('/');
  auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == text.npos) return IpPrefix{*address, address->max_prefix()};
  auto length = parse_netmask(text.substr(slash + 1), address->v6);
  if (!length) return std::nullopt;
  return IpPrefix{*address, *length};
}

IpAddress ipv4_of(Bytes bytes) {
  DW_CHECK(bytes.size() == 4);
  IpAddress address;
  std::memcpy(address.bytes.data(), bytes.data(), 4);
  return address;
}

std::optional<uint8_t> prefix_of_mask(const IpAddress& mask) {
  if (mask.v6) return std::nullopt;
  uint32_t bits = ntohl(load<uint32_t>(mask.bytes, 0));
  auto length = static_cast<uint8_t>(std::countl_one(bits));
  if (std::popcount(bits) != length) return std::nullopt;
  return length;
}

uint8_t classful_prefix(const IpAddress& address) {
  auto first = static_cast<uint8_t>(address.bytes[0]);
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

std::string to_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof(text));
  return text;
}

std::string to_text(const MacAddress& mac) {
  char text[18];
  auto at = [&](size_t i) { return static_cast<unsigned>(mac.bytes[i]); };
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", at(0), at(1), at(2), at(3),
                at(4), at(5));
  return text;
}

std::string to_text(const IpPrefix& prefix) {
  return to_text(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace dw
