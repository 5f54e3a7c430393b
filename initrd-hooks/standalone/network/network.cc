#include "initrd-hooks/standalone/network/network.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <deque>

#include "capture/base/clock.h"
#include "capture/cli/config.h"
#include "initrd-hooks/standalone/network/port.h"
#include "initrd-hooks/standalone/network/resolver.h"

namespace dw {

namespace {

using State = Port::State;

constexpr int kPollMs = 100;
constexpr size_t kMaxPorts = 64;
// What other programs add without thinking has metric 0, and DHCP clients take about this.
constexpr uint32_t kFirstMetric = 100;
constexpr uint32_t kMetricStep = 1000;

int64_t now_ms() { return static_cast<int64_t>(monotonic_ms()); }

class Network {
 public:
  Network(NetworkOptions options, const Log& log, const NetworkLimits& limits,
          const NetworkPlaces& places, NetLinks links)
      : options_(std::move(options)),
        log_(log),
        limits_(limits),
        places_(places),
        links_(std::move(links)) {}

  Status run() {
    set_mtu_probing();
    int64_t start = now_ms();
    while (now_ms() - start < limits_.all_ms) {
      DW_ASSIGN(seen_, links_.list());
      meet_links();
      advance_ports();
      if (is_done()) break;
      wait();
    }
    tell_what_is_missing();
    if (!any_ready()) return failure();
    add_routes();
    return write_resolver_file();
  }

 private:
  void warn(const Status& status) const {
    if (!status.ok()) log_.warn(status.error());
  }

  // A router that neither passes on large packets nor says so shall not stop TCP.
  void set_mtu_probing() const {
    auto file = open_file(places_.mtu_probing.c_str(), O_WRONLY);
    if (!file.ok()) return log_.warn(file.error());
    constexpr std::string_view kWhereNeeded = "1\n";
    warn(write_all_at(file->get(), std::as_bytes(std::span(kWhereNeeded)), 0));
  }

  [[nodiscard]] const NetLink* find(uint32_t index) const {
    auto found = std::ranges::find(seen_, index, &NetLink::index);
    return found == seen_.end() ? nullptr : &*found;
  }
  [[nodiscard]] const NetLink* find(const std::string& name) const {
    auto found = std::ranges::find(seen_, name, &NetLink::name);
    return found == seen_.end() ? nullptr : &*found;
  }

  void meet_links() {
    for (NetLink& link : seen_) {
      if (link.loopback && !link.up) warn(links_.set_up(link));
      if (!link.usable || std::ranges::find(met_, link.index) != met_.end()) continue;
      met_.push_back(link.index);
      give_name(link);
      log_.say("network: there is %s", describe(link).c_str());
      for (const InterfaceOptions& options : options_.interfaces)
        if (is_for(options, link)) add_port(options, link);
    }
  }

  // Before anything else: an interface that is up keeps its name.
  void give_name(NetLink& link) {
    for (const NameOptions& name : options_.names) {
      if (name.mac != link.mac || name.interface == link.name) continue;
      Status status = links_.rename(link, name.interface);
      warn(status);
      if (status.ok()) link.name = name.interface;
    }
  }

  [[nodiscard]] bool is_for(const InterfaceOptions& options, const NetLink& link) const {
    if (options.by == AddressBy::kOff) return false;
    if (!options.interface.empty()) return options.interface == link.name;
    // What is said of the interface itself counts more.
    return std::ranges::find(options_.interfaces, link.name, &InterfaceOptions::interface) ==
           options_.interfaces.end();
  }

  void add_port(const InterfaceOptions& options, const NetLink& link) {
    if (ports_.size() >= kMaxPorts) return;
    bool default_route = options_.boot_interface.empty() || options_.boot_interface == link.name;
    // What stands first in the command line is preferred, and it is the same the second time.
    auto number = static_cast<uint32_t>(&options - options_.interfaces.data());
    uint32_t metric = kFirstMetric + number * kMetricStep + link.index;
    ports_.emplace_back(options, link, metric, default_route, log_);
    ports_.back().wake(links_);
  }

  // A static address without an interface goes to the first that has a carrier.
  [[nodiscard]] static bool is_single(const InterfaceOptions& options) {
    return options.interface.empty() && options.by == AddressBy::kStatic;
  }

  [[nodiscard]] bool is_taken(const InterfaceOptions& options) const {
    return is_single(options) && std::ranges::any_of(ports_, [&](const Port& port) {
             return &port.options() == &options && port.state() == State::kReady;
           });
  }

  void advance_ports() {
    for (Port& port : ports_) {
      const NetLink* link = find(port.link().index);
      if (link != nullptr && !is_taken(port.options())) port.advance(links_, *link, now_ms());
    }
  }

  [[nodiscard]] bool any_ready() const {
    return std::ranges::any_of(ports_, [](const Port& p) { return p.state() == State::kReady; });
  }

  // Whether the option has all that it can have, but for interfaces that may still come.
  [[nodiscard]] bool is_served(const InterfaceOptions& options, int64_t waited_ms) const {
    if (options.by == AddressBy::kOff) return true;
    bool ready = false;
    bool all = true;
    for (const Port& port : ports_) {
      if (&port.options() != &options) continue;
      ready |= port.state() == State::kReady;
      all &= waited_ms >= patience_with(port);
    }
    if (!options.interface.empty() || is_single(options)) return ready || all_failed(options);
    return ready && all;
  }

  // How long after the first is ready.
  [[nodiscard]] int64_t patience_with(const Port& port) const {
    if (port.state() == State::kNoCarrier) return limits_.carrier_ms;
    return port.state() == State::kAsking ? limits_.others_ms : 0;
  }

  [[nodiscard]] bool all_failed(const InterfaceOptions& options) const {
    size_t ports = 0;
    for (const Port& port : ports_) {
      if (&port.options() != &options) continue;
      if (port.state() != State::kFailed) return false;
      ports++;
    }
    return ports > 0;
  }

  bool is_done() {
    if (!any_ready()) return false;
    if (first_ready_ms_ < 0) first_ready_ms_ = now_ms();
    int64_t waited_ms = now_ms() - first_ready_ms_;
    return std::ranges::all_of(options_.interfaces, [&](const InterfaceOptions& options) {
      return is_served(options, waited_ms);
    });
  }

  void wait() {
    std::vector<pollfd> wanted;
    for (const Port& port : ports_)
      if (port.fd() >= 0) wanted.push_back({.fd = port.fd(), .events = POLLIN, .revents = 0});
    ::poll(wanted.data(), wanted.size(), kPollMs);
  }

  void tell_what_is_missing() const {
    for (const Port& port : ports_)
      if (port.state() != State::kReady && !is_taken(port.options()))
        log_.say("%s", port.what_is_missing().c_str());
    for (const InterfaceOptions& options : options_.interfaces)
      if (!options.interface.empty() && find(options.interface) == nullptr)
        log_.say(
            "network: there is no interface %s; names are the kernel's own here, unless "
            "ifname=%s:MAC gives one",
            options.interface.c_str(), options.interface.c_str());
  }

  [[nodiscard]] Error failure() const {
    if (met_.empty())
      return Error(ErrorKind::kTimeout, "there is no network interface")
          .on("network")
          .hint("name its driver with build-initrd --modules");
    return Error(ErrorKind::kTimeout, "no interface has an address")
        .on("network")
        .hint("see what is said about each of them, and ip= on the kernel's command line");
  }

  void add_routes() {
    for (const RouteOptions& option : options_.routes) {
      NetRoute route{option.destination, option.gateway, 0, 0};
      const NetLink* link = option.interface.empty() ? nullptr : find(option.interface);
      if (link != nullptr) route.index = link->index;
      if (!option.interface.empty() && link == nullptr)
        log_.say("network: rd.route=: there is no interface %s", option.interface.c_str());
      else
        warn(links_.add_route(route));
    }
  }

  Status write_resolver_file() const {
    std::vector<IpAddress> servers = options_.name_servers;
    std::string domain;
    for (const Port& port : ports_) {
      if (!port.lease()) continue;
      servers.insert(servers.end(), port.lease()->name_servers.begin(),
                     port.lease()->name_servers.end());
      if (domain.empty()) domain = port.lease()->domain;
    }
    // Without it names are not found, which an address does not need.
    warn(write_resolver(places_.resolver, servers, domain));
    warn(fall_back_on_known_addresses(places_.known_hosts, places_.hosts, !servers.empty(), log_));
    return {};
  }

  NetworkOptions options_;
  const Log& log_;
  const NetworkLimits& limits_;
  const NetworkPlaces& places_;
  NetLinks links_;
  std::vector<NetLink> seen_;
  std::vector<uint32_t> met_;
  std::deque<Port> ports_;
  int64_t first_ready_ms_ = -1;
};

bool is_off(const NetworkOptions& options) {
  return !options.interfaces.empty() &&
         std::ranges::all_of(options.interfaces, [](const InterfaceOptions& interface) {
           return interface.by == AddressBy::kOff;
         });
}

}  // namespace

Status bring_up_network(const std::vector<BootParameter>& boot, const Log& log,
                        const NetworkLimits& limits, const NetworkPlaces& places) {
  NetworkOptions options = parse_network_options(boot);
  for (const Error& problem : options.problems) log.warn(problem);
  if (is_off(options))
    return Error(ErrorKind::kUsage, "ip=off stands on the kernel's command line")
        .on("network")
        .hint("a target on a server needs the network");
  if (options.interfaces.empty()) {
    log.say("network: no ip= on the kernel's command line: DHCP on every interface");
    options.interfaces.emplace_back();
  }
  DW_ASSIGN(NetLinks links, NetLinks::open());
  return Network(std::move(options), log, limits, places, std::move(links)).run();
}

Status bring_up_initrd_network(const std::vector<BootParameter>& boot, const Log& log) {
  return bring_up_network(boot, log, {}, {});
}

}  // namespace dw
