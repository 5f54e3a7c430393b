#include "initrd-hooks/standalone/network/dhcp_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <map>

namespace dw {

namespace {

// Offsets of RFC 2131's fixed fields.
constexpr size_t kTransaction = 4;
constexpr size_t kSeconds = 8;
constexpr size_t kYours = 16;
constexpr size_t kClientMac = 28;
constexpr size_t kServerName = 44;
constexpr size_t kBootFile = 108;
constexpr size_t kCookie = 236;
constexpr size_t kOptions = 240;
constexpr size_t kServerNameSize = 64;
constexpr size_t kBootFileSize = 128;

constexpr std::byte kRequestOp{1};
constexpr std::byte kReplyOp{2};
constexpr std::byte kEthernet{1};
constexpr uint32_t kMagicCookie = 0x63825363;
// What BOOTP's relays may expect at least.
constexpr size_t kMinMessage = 300;
// Without the headers of Ethernet's 1500 bytes.
constexpr uint16_t kMaxMessage = 1472;

enum Option : uint8_t {
  kPad = 0,
  kMask = 1,
  kRouters = 3,
  kNameServers = 6,
  kDomain = 15,
  kMtu = 26,
  kRequestedAddress = 50,
  kLeaseTime = 51,
  kOverload = 52,
  kMessageType = 53,
  kServerId = 54,
  kParameters = 55,
  kMaxSize = 57,
  kVendorClass = 60,
  kClasslessRoutes = 121,
  kEnd = 255,
};

// What is wanted of the server; routes before routers, as RFC 3442 says.
constexpr uint8_t kWanted[] = {kClasslessRoutes, kMask, kRouters,   kNameServers,
                               kDomain,          kMtu,  kLeaseTime, kServerId};
constexpr std::string_view kVendor = "dumpwright";

class OptionWriter {
 public:
  explicit OptionWriter(std::vector<std::byte>& message) : message_(message) {}
  void add(Option option, Bytes value) {
    DW_CHECK(value.size() < 256);
    message_.push_back(static_cast<std::byte>(option));
    message_.push_back(static_cast<std::byte>(value.size()));
    message_.insert(message_.end(), value.begin(), value.end());
  }
  void add(Option option, const std::optional<IpAddress>& address) {
    if (address) add(option, address->view());
  }

 private:
  std::vector<std::byte>& message_;
};

// The values of a reply's options, those that are cut in several put together (RFC 3396).
class OptionReader {
 public:
  explicit OptionReader(Bytes message) {
    read(message.subspan(kOptions));
    Bytes overload = value(kOverload);
    uint8_t fields = overload.size() == 1 ? static_cast<uint8_t>(overload[0]) : 0;
    if ((fields & 1) != 0) read(message.subspan(kBootFile, kBootFileSize));
    if ((fields & 2) != 0) read(message.subspan(kServerName, kServerNameSize));
  }

  [[nodiscard]] Bytes value(Option option) const {
    auto found = values_.find(option);
    return found == values_.end() ? Bytes() : Bytes(found->second);
  }
  [[nodiscard]] std::vector<IpAddress> addresses(Option option) const {
    std::vector<IpAddress> list;
    for (Bytes rest = value(option); rest.size() >= 4 && list.size() < kMaxDhcpItems;
         rest = rest.subspan(4))
      list.push_back(ipv4_of(rest.first(4)));
    return list;
  }
  [[nodiscard]] std::optional<IpAddress> address(Option option) const {
    Bytes bytes = value(option);
    return bytes.size() == 4 ? std::optional(ipv4_of(bytes)) : std::nullopt;
  }

 private:
  // One that lies about its length ends the list.
  void read(Bytes from) {
    while (!from.empty() && from[0] != std::byte{kEnd}) {
      if (from[0] == std::byte{kPad}) {
        from = from.subspan(1);
        continue;
      }
      if (from.size() < 2) return;
      auto size = static_cast<size_t>(from[1]);
      if (size > from.size() - 2) return;
      auto& value = values_[static_cast<uint8_t>(from[0])];
      value.insert(value.end(), from.begin() + 2, from.begin() + 2 + static_cast<ptrdiff_t>(size));
      from = from.subspan(2 + size);
    }
  }

  std::map<uint8_t, std::vector<std::byte>> values_;
};

// {length, the prefix's bytes that matter, gateway}, over and over.
std::vector<DhcpRoute> parse_routes(Bytes from) {
  std::vector<DhcpRoute> routes;
  while (!from.empty() && routes.size() < kMaxDhcpItems) {
    auto length = static_cast<uint8_t>(from[0]);
    size_t used = (length + 7U) / 8;
    if (length > 32 || from.size() < 1 + used + 4) break;
    DhcpRoute route;
    route.destination.length = length;
    std::ranges::copy(from.subspan(1, used), route.destination.address.bytes.begin());
    route.gateway = ipv4_of(from.subspan(1 + used, 4));
    routes.push_back(route);
    from = from.subspan(1 + used + 4);
  }
  return routes;
}

// It goes into a file of our own, so nothing may stand in it that means something there.
std::string parse_domain(Bytes from) {
  std::string_view text(reinterpret_cast<const char*>(from.data()), from.size());
  text = text.substr(0, text.find('\0'));
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  constexpr size_t kMaxDomain = 253;
  if (text.size() > kMaxDomain || !std::ranges::all_of(text, plain)) return {};
  return std::string(text);
}

void read_numbers(DhcpReply& reply, const OptionReader& options) {
  if (Bytes lease = options.value(kLeaseTime); lease.size() == 4)
    reply.lease_s = ntohl(load<uint32_t>(lease, 0));
  if (Bytes mtu = options.value(kMtu); mtu.size() == 2) {
    uint32_t value = ntohs(load<uint16_t>(mtu, 0));
    if (value >= kMinDhcpMtu) reply.mtu = value;
  }
}

std::optional<DhcpType> reply_type(const OptionReader& options) {
  Bytes value = options.value(kMessageType);
  if (value.size() != 1) return std::nullopt;
  for (DhcpType type : {DhcpType::kOffer, DhcpType::kAck, DhcpType::kNak})
    if (value[0] == static_cast<std::byte>(type)) return type;
  return std::nullopt;
}

Error bad(const char* what) { return {ErrorKind::kBadInput, what}; }

}  // namespace

std::vector<std::byte> build_dhcp(const DhcpRequest& request) {
  std::vector<std::byte> message(kOptions);
  message[0] = kRequestOp;
  message[1] = kEthernet;
  message[2] = static_cast<std::byte>(request.mac.bytes.size());
  store<uint32_t>(message, kTransaction, htonl(request.transaction));
  store<uint16_t>(message, kSeconds, htons(request.seconds));
  std::ranges::copy(request.mac.bytes, message.begin() + kClientMac);
  store<uint32_t>(message, kCookie, htonl(kMagicCookie));
  OptionWriter options(message);
  options.add(kMessageType, bytes_of(request.type));
  options.add(kRequestedAddress, request.address);
  options.add(kServerId, request.server);
  options.add(kMaxSize, bytes_of(htons(kMaxMessage)));
  options.add(kVendorClass, std::as_bytes(std::span(kVendor)));
  options.add(kParameters, std::as_bytes(std::span(kWanted)));
  message.push_back(std::byte{kEnd});
  message.resize(std::max(message.size(), kMinMessage));
  return message;
}

bool is_host_address(const IpAddress& address) {
  if (address.v6) return false;
  auto first = static_cast<uint8_t>(address.bytes[0]);
  return first != 0 && first != 127 && first < 224;
}

Result<DhcpReply> parse_dhcp(Bytes message) {
  if (message.size() < kOptions) return bad("the DHCP message is too short");
  if (message[0] != kReplyOp || message[1] != kEthernet || message[2] != std::byte{6})
    return bad("the DHCP message is no reply to an Ethernet client");
  if (ntohl(load<uint32_t>(message, kCookie)) != kMagicCookie)
    return bad("the DHCP message has no options");
  OptionReader options(message);
  auto type = reply_type(options);
  if (!type) return bad("the DHCP message is of no type for a client");
  DhcpReply reply;
  reply.type = *type;
  reply.transaction = ntohl(load<uint32_t>(message, kTransaction));
  std::ranges::copy(message.subspan(kClientMac, 6), reply.mac.bytes.begin());
  reply.address = ipv4_of(message.subspan(kYours, 4));
  if (reply.type != DhcpType::kNak && !is_host_address(reply.address))
    return bad("the DHCP message gives an address that no interface can have");
  reply.server = options.address(kServerId);
  reply.mask = options.address(kMask);
  reply.routers = options.addresses(kRouters);
  reply.name_servers = options.addresses(kNameServers);
  reply.routes = parse_routes(options.value(kClasslessRoutes));
  reply.domain = parse_domain(options.value(kDomain));
  read_numbers(reply, options);
  return reply;
}

}  // namespace dw
