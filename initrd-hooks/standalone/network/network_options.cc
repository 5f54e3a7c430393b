#include "initrd-hooks/standalone/network/network_options.h"

#include <net/if.h>

#include <algorithm>
#include <charconv>

namespace dw {

namespace {

using Fields = std::span<const std::string_view>;

constexpr size_t kMaxFields = 32;
constexpr uint32_t kMinMtu = 68;  // RFC 791
constexpr uint32_t kMaxMtu = 65535;

Error wrong(const char* what, std::string_view text) {
  return Error(ErrorKind::kUsage, what).on(text).hint("it is left out");
}

// The field, or nothing of it.
std::string_view field(Fields fields, size_t at) {
  return at < fields.size() ? fields[at] : std::string_view();
}

bool is_interface_name(std::string_view text) {
  if (text.empty() || text.size() >= IF_NAMESIZE || text == "." || text == "..") return false;
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127 && c != '/'; });
}

std::optional<AddressBy> parse_method(std::string_view text) {
  for (std::string_view name : {"dhcp", "on", "any", "dhcp4", "single-dhcp", "both"})
    if (text == name) return AddressBy::kDhcp;
  for (std::string_view name : {"auto6", "either6", "dhcp6", "link6", "link-local"})
    if (text == name) return AddressBy::kAuto6;
  for (std::string_view name : {"off", "none", "static"})
    if (text == name) return AddressBy::kOff;
  return std::nullopt;
}

class Parser {
 public:
  explicit Parser(NetworkOptions& options) : options_(options) {}

  void take(const BootParameter& parameter) {
    Status status = parse(parameter.name, parameter.value.value_or(""));
    if (!status.ok()) add(options_.problems, status.error());
  }

 private:
  Status parse(std::string_view name, std::string_view value) {
    if (name == "ip") return parse_interface(value);
    if (name == "nameserver") return parse_name_server(value);
    if (name == "rd.route") return parse_route(value);
    if (name == "ifname") return parse_name(value);
    if (name == "bootdev") return parse_boot_interface(value);
    for (std::string_view unknown : {"vlan", "bond", "team", "bridge"})
      if (name == unknown)
        return Error(ErrorKind::kUnsupported, "is not set up by this initrd")
            .on(std::string(name) + "=" + std::string(value))
            .hint("give ip= an interface that needs none");
    return {};
  }

  // False: there are too many of it.
  template <typename T>
  static bool add(std::vector<T>& list, T item) {
    if (list.size() >= kMaxNetworkOptions) return false;
    list.push_back(std::move(item));
    return true;
  }
  template <typename T>
  static Status add_or_fail(std::vector<T>& list, T item, std::string_view value) {
    if (add(list, std::move(item))) return {};
    return wrong("is one network option too many", value);
  }

  Status parse_interface(std::string_view value) {
    auto cut = option_fields(value);
    Fields fields = cut;
    InterfaceOptions interface;
    if (fields.size() == 1) {
      if (value == "ibft") return ibft(value);
      auto method = parse_method(value);
      if (!method) return wrong("is no method or address for ip=", value);
      interface.by = *method;
    } else if (is_interface_name(fields[0]) && !parse_ip(fields[0]) &&
               (parse_method(fields[1]) || fields[1] == "ibft")) {
      DW_TRY(parse_method_of(interface, fields, value));
    } else {
      DW_TRY(parse_address(interface, fields, value));
    }
    return add_or_fail(options_.interfaces, std::move(interface), value);
  }

  static Error ibft(std::string_view value) {
    return Error(ErrorKind::kUnsupported, "iBFT is not read by this initrd")
        .on(value)
        .hint("give the address itself, or dhcp");
  }

  // INTERFACE:METHOD[:[MTU][:MAC]]
  Status parse_method_of(InterfaceOptions& interface, Fields fields, std::string_view value) {
    if (fields[1] == "ibft") return ibft(value);
    interface.interface = fields[0];
    interface.by = *parse_method(fields[1]);
    return parse_hardware(interface, fields.subspan(2), value);
  }

  // CLIENT:PEER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:METHOD...
  Status parse_address(InterfaceOptions& interface, Fields fields, std::string_view value) {
    DW_TRY(parse_method_field(interface, field(fields, 6), value));
    if (!field(fields, 5).empty()) {
      if (!is_interface_name(fields[5])) return wrong("its interface is no name", value);
      interface.interface = fields[5];
    }
    if (!fields[0].empty()) DW_TRY(parse_client(interface, fields, value));
    DW_TRY(parse_peer(interface, field(fields, 1), value));
    DW_TRY(parse_optional(interface.gateway, field(fields, 2), "its gateway is no address", value));
    if (interface.address && interface.gateway &&
        interface.gateway->v6 != interface.address->address.v6)
      return wrong("its gateway is of another kind than its address", value);
    if (interface.by == AddressBy::kStatic && !interface.address)
      return wrong("has neither an address nor a method", value);
    return parse_rest(interface, fields.subspan(std::min<size_t>(7, fields.size())), value);
  }

  static Status parse_method_field(InterfaceOptions& interface, std::string_view text,
                                   std::string_view value) {
    if (text == "ibft") return ibft(value);
    auto method = text.empty() ? std::optional(AddressBy::kOff) : parse_method(text);
    if (!method) return wrong("its method is unknown", value);
    // Here "none" says that nobody is asked for the address.
    interface.by = *method == AddressBy::kOff ? AddressBy::kStatic : *method;
    return {};
  }

  static Status parse_client(InterfaceOptions& interface, Fields fields, std::string_view value) {
    auto client = parse_prefix(fields[0]);
    if (!client) return wrong("its first field is no address", value);
    bool has_length = fields[0].find('/') != fields[0].npos;
    if (std::string_view mask = field(fields, 3); !mask.empty()) {
      auto length = parse_netmask(mask, client->address.v6);
      if (!length) return wrong("its netmask is neither a mask nor a length", value);
      client->length = *length;
    } else if (!has_length) {
      client->length = client->address.v6 ? 64 : classful_prefix(client->address);
    }
    interface.address = *client;
    return {};
  }

  // Its prefix, if there is one, counts instead of the netmask.
  static Status parse_peer(InterfaceOptions& interface, std::string_view text,
                           std::string_view value) {
    if (text.empty()) return {};
    auto peer = parse_prefix(text);
    if (!peer || (interface.address && interface.address->address.v6 != peer->address.v6))
      return wrong("its peer is no address", value);
    interface.peer = peer->address;
    if (interface.address && text.find('/') != text.npos) interface.address->length = peer->length;
    return {};
  }

  static Status parse_optional(std::optional<IpAddress>& into, std::string_view text,
                               const char* what, std::string_view value) {
    if (text.empty()) return {};
    into = parse_ip(text);
    return into ? Status() : wrong(what, value);
  }

  // [MTU][:MAC] or [DNS1][:DNS2]
  Status parse_rest(InterfaceOptions& interface, Fields rest, std::string_view value) {
    if (!parse_ip(field(rest, 0)) && !parse_ip(field(rest, 1)))
      return parse_hardware(interface, rest, value);
    for (std::string_view text : rest.first(std::min<size_t>(2, rest.size()))) {
      std::optional<IpAddress> server;
      DW_TRY(parse_optional(server, text, "its name server is no address", value));
      if (server) DW_TRY(add_or_fail(options_.name_servers, *server, value));
    }
    return {};
  }

  // A MAC has been cut at its colons.
  static Status parse_hardware(InterfaceOptions& interface, Fields rest, std::string_view value) {
    if (std::string_view text = field(rest, 0); !text.empty()) {
      uint32_t mtu = 0;
      auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), mtu);
      if (error != std::errc() || stop != text.data() + text.size() || mtu < kMinMtu ||
          mtu > kMaxMtu)
        return wrong("its MTU is not a number from 68 to 65535", value);
      interface.mtu = mtu;
    }
    std::string mac;
    for (size_t at = 1; at < rest.size(); at++) mac.append(at > 1 ? ":" : "").append(rest[at]);
    if (mac.empty()) return {};
    interface.mac = parse_mac(mac);
    return interface.mac ? Status() : wrong("its MAC address is none", value);
  }

  Status parse_name_server(std::string_view value) {
    auto server = parse_ip(value);
    if (!server) return wrong("is no address for nameserver=", value);
    return add_or_fail(options_.name_servers, *server, value);
  }

  Status parse_route(std::string_view value) {
    auto fields = option_fields(value);
    RouteOptions route;
    auto destination = parse_prefix(fields[0]);
    if (!destination) return wrong("has no network as NET/LENGTH for rd.route=", value);
    route.destination = *destination;
    DW_TRY(parse_optional(route.gateway, field(fields, 1), "its gateway is no address", value));
    route.interface = field(fields, 2);
    if (!route.interface.empty() && !is_interface_name(route.interface))
      return wrong("its interface is no name", value);
    if (!route.gateway && route.interface.empty())
      return wrong("has neither a gateway nor an interface", value);
    if (route.gateway && route.gateway->v6 != destination->address.v6)
      return wrong("its gateway is of another kind than its network", value);
    return add_or_fail(options_.routes, std::move(route), value);
  }

  Status parse_name(std::string_view value) {
    size_t colon = value.find(':');
    auto mac = colon == value.npos ? std::nullopt : parse_mac(value.substr(colon + 1));
    if (!mac || !is_interface_name(value.substr(0, colon)))
      return wrong("is not INTERFACE:MAC for ifname=", value);
    return add_or_fail(options_.names, {std::string(value.substr(0, colon)), *mac}, value);
  }

  Status parse_boot_interface(std::string_view value) {
    if (!is_interface_name(value)) return wrong("is no interface for bootdev=", value);
    options_.boot_interface = value;
    return {};
  }

  NetworkOptions& options_;
};

}  // namespace

std::vector<std::string_view> option_fields(std::string_view text) {
  std::vector<std::string_view> fields;
  bool bracketed = false;
  size_t start = 0;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '[') bracketed = true;
    if (text[at] == ']') bracketed = false;
    // What is too much stays in the last field, where nothing fits it.
    if (text[at] != ':' || bracketed || fields.size() + 1 >= kMaxFields) continue;
    fields.push_back(text.substr(start, at - start));
    start = at + 1;
  }
  fields.push_back(text.substr(start));
  return fields;
}

NetworkOptions parse_network_options(const std::vector<BootParameter>& parameters) {
  NetworkOptions options;
  Parser parser(options);
  for (const BootParameter& parameter : parameters) parser.take(parameter);
  return options;
}

}  // namespace dw
