#include "initrd-hooks/standalone/network/net_link.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

namespace dw {

namespace {

// <linux/if.h> has it, which does not go together with <net/if.h>.
constexpr unsigned kLowerUp = 1U << 16;

int family_of(const IpAddress& address) { return address.v6 ? AF_INET6 : AF_INET; }

std::string text_of(Bytes value) {
  std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
  return std::string(text.substr(0, text.find('\0')));
}

// Of those that software makes only veth is like a card: it has another end elsewhere.
bool is_made_by_software(Bytes link_info) {
  bool software = false;
  for_each_attribute(link_info, [&](uint16_t type, Bytes value) {
    if (type == IFLA_INFO_KIND) software = text_of(value) != "veth";
  });
  return software;
}

std::optional<NetLink> parse_link(Bytes message) {
  if (message.size() < sizeof(ifinfomsg)) return std::nullopt;
  auto info = load<ifinfomsg>(message, 0);
  NetLink link;
  link.index = static_cast<uint32_t>(info.ifi_index);
  link.loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
  link.up = (info.ifi_flags & IFF_UP) != 0;
  link.carrier = (info.ifi_flags & kLowerUp) != 0 && (info.ifi_flags & IFF_RUNNING) != 0;
  link.usable = info.ifi_type == ARPHRD_ETHER;
  for_each_attribute(message.subspan(sizeof(ifinfomsg)), [&](uint16_t type, Bytes value) {
    if (type == IFLA_IFNAME) link.name = text_of(value);
    if (type == IFLA_ADDRESS && value.size() == link.mac.bytes.size())
      std::ranges::copy(value, link.mac.bytes.begin());
    if (type == IFLA_MASTER || (type == IFLA_LINKINFO && is_made_by_software(value)))
      link.usable = false;
  });
  return link;
}

// Only for messages to people.
std::string driver_of(const std::string& name) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (!fd.valid() || ::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return {};
  return {info.driver, ::strnlen(info.driver, sizeof(info.driver))};
}

NetlinkRequest link_request(const NetLink& link, unsigned flags = 0) {
  ifinfomsg info{};
  info.ifi_index = static_cast<int>(link.index);
  info.ifi_flags = flags;
  info.ifi_change = flags;
  return {RTM_NEWLINK, 0, info};
}

Status named(Status status, std::string_view subject) {
  if (status.ok()) return status;
  Error error = status.error();
  return error.on(subject);
}

// The broadcast address of a network, which the kernel does not make up by itself.
IpAddress broadcast_of(const IpPrefix& prefix) {
  uint32_t host_bits = prefix.length >= 32 ? 0 : 0xffffffffU >> prefix.length;
  IpAddress address;
  store(MutableBytes(address.bytes), 0, load<uint32_t>(prefix.address.bytes, 0) | htonl(host_bits));
  return address;
}

NetlinkRequest route_request(const NetRoute& route, unsigned flags) {
  rtmsg header{};
  header.rtm_family = static_cast<uint8_t>(family_of(route.destination.address));
  header.rtm_dst_len = route.destination.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_BOOT;
  header.rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = flags;
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header);
  if (route.destination.length > 0) request.add(RTA_DST, route.destination.address.view());
  if (route.gateway) request.add(RTA_GATEWAY, route.gateway->view());
  if (route.index != 0) request.add_number(RTA_OIF, route.index);
  if (route.metric != 0) request.add_number(RTA_PRIORITY, route.metric);
  return request;
}

// The kernel wants no bits behind the prefix.
IpPrefix without_host_bits(IpPrefix prefix) {
  for (size_t bit = prefix.length; bit < prefix.address.max_prefix(); bit++)
    prefix.address.bytes[bit / 8] &= ~std::byte(0x80U >> bit % 8);
  return prefix;
}

// Empty if this is not such an address.
std::optional<IpPrefix> parse_automatic(Bytes message, uint32_t index) {
  if (message.size() < sizeof(ifaddrmsg)) return std::nullopt;
  auto info = load<ifaddrmsg>(message, 0);
  constexpr unsigned kNotYet = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_PERMANENT;
  if (info.ifa_index != index || info.ifa_scope != RT_SCOPE_UNIVERSE ||
      (info.ifa_flags & kNotYet) != 0 || info.ifa_prefixlen > 128)
    return std::nullopt;
  std::optional<IpPrefix> found;
  for_each_attribute(message.subspan(sizeof(ifaddrmsg)), [&](uint16_t type, Bytes value) {
    if (type != IFA_ADDRESS || value.size() != 16) return;
    found = IpPrefix{{.v6 = true}, info.ifa_prefixlen};
    std::ranges::copy(value, found->address.bytes.begin());
  });
  return found;
}

}  // namespace

Result<NetLinks> NetLinks::open() {
  DW_ASSIGN(NetlinkSocket socket, NetlinkSocket::open());
  return NetLinks(std::move(socket));
}

Result<std::vector<NetLink>> NetLinks::list() {
  std::vector<NetLink> links;
  NetlinkRequest request(RTM_GETLINK, 0, ifinfomsg{});
  DW_TRY(socket_.dump(std::move(request), "cannot list the network interfaces",
                      [&](uint16_t type, Bytes message) {
                        if (type != RTM_NEWLINK || links.size() >= kMaxNetLinks) return;
                        if (auto link = parse_link(message)) links.push_back(std::move(*link));
                      }));
  std::ranges::sort(links, {}, &NetLink::index);
  for (NetLink& link : links)
    if (link.usable) link.driver = driver_of(link.name);
  return links;
}

Status NetLinks::set_up(const NetLink& link) {
  return named(socket_.request(link_request(link, IFF_UP), "cannot set the interface up"),
               link.name);
}

Status NetLinks::set_mtu(const NetLink& link, uint32_t mtu) {
  NetlinkRequest request = link_request(link);
  request.add_number(IFLA_MTU, mtu);
  return named(socket_.request(std::move(request), "cannot set the interface's MTU"), link.name);
}

Status NetLinks::set_mac(const NetLink& link, const MacAddress& mac) {
  NetlinkRequest request = link_request(link);
  request.add(IFLA_ADDRESS, mac.bytes);
  return named(socket_.request(std::move(request), "cannot set the interface's MAC address"),
               link.name);
}

Status NetLinks::rename(const NetLink& link, const std::string& name) {
  NetlinkRequest request = link_request(link);
  request.add_text(IFLA_IFNAME, name);
  return named(socket_.request(std::move(request), "cannot rename the interface"),
               link.name + " to " + name);
}

Status NetLinks::add_address(const NetLink& link, const IpPrefix& address,
                             const std::optional<IpAddress>& peer) {
  ifaddrmsg header{};
  header.ifa_family = static_cast<uint8_t>(family_of(address.address));
  header.ifa_prefixlen = address.length;
  header.ifa_flags = address.address.v6 ? IFA_F_NODAD : 0;
  header.ifa_index = link.index;
  NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header);
  request.add(IFA_LOCAL, address.address.view());
  request.add(IFA_ADDRESS, peer.value_or(address.address).view());
  if (!address.address.v6 && address.length < 31)
    request.add(IFA_BROADCAST, broadcast_of(address).view());
  return named(socket_.request(std::move(request), "cannot give the interface its address"),
               link.name + " " + to_text(address));
}

Status NetLinks::add_route(const NetRoute& wanted) {
  NetRoute route = wanted;
  route.destination = without_host_bits(route.destination);
  constexpr const char* kWhat = "cannot add the route";
  Status status = socket_.request(route_request(route, 0), kWhat);
  bool unreachable = !status.ok() && (status.error().errno_value() == ENETUNREACH ||
                                      status.error().errno_value() == EHOSTUNREACH);
  if (unreachable && route.gateway && route.index != 0)
    status = socket_.request(route_request(route, RTNH_F_ONLINK), kWhat);
  std::string subject = to_text(route.destination);
  if (route.gateway) subject += " by " + to_text(*route.gateway);
  return named(std::move(status), subject);
}

Result<std::optional<IpPrefix>> NetLinks::automatic_address(const NetLink& link) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  std::optional<IpPrefix> found;
  DW_TRY(socket_.dump({RTM_GETADDR, 0, header}, "cannot list the addresses",
                      [&](uint16_t type, Bytes message) {
                        if (type != RTM_NEWADDR || found) return;
                        found = parse_automatic(message, link.index);
                      }));
  return found;
}

std::string describe(const NetLink& link) {
  return link.name + " (" + (link.driver.empty() ? "unknown driver" : link.driver) + ", " +
         to_text(link.mac) + ")";
}

}  // namespace dw
