#include "initrd-hooks/standalone/network/port.h"

#include <sys/random.h>

#include <cinttypes>

#include "capture/base/clock.h"

namespace dw {

namespace {

// Need not be a secret; the kernel may not have gathered any chance yet, and is not waited for.
uint32_t random_transaction() {
  uint32_t value = 0;
  if (::getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value)) return value;
  return static_cast<uint32_t>(monotonic_ns());
}

}  // namespace

void Port::wake(NetLinks& links) {
  // Whatever fails here may work all the same once the interface is up.
  auto warn = [&](const Status& status) {
    if (!status.ok()) log_->warn(status.error());
  };
  if (options_->mac && !link_.up) warn(links.set_mac(link_, *options_->mac));
  if (options_->mtu) warn(links.set_mtu(link_, *options_->mtu));
  warn(links.set_up(link_));
}

void Port::advance(NetLinks& links, const NetLink& link, int64_t now_ms) {
  link_ = link;
  if (state_ == State::kReady || state_ == State::kFailed) return;
  if (!link.carrier) return;
  state_ = State::kAsking;
  if (options_->by == AddressBy::kStatic) return settle(configure_static(links));
  if (options_->by == AddressBy::kAuto6) {
    if (Status status = look_for_automatic(links); !status.ok()) settle(status);
    return;
  }
  if (Status status = ask(now_ms); !status.ok()) return settle(status);
  listen(now_ms);
  if (!exchange_->lease()) return;
  lease_ = exchange_->lease();
  socket_.reset();
  settle(configure_lease(links));
}

int Port::fd() const { return socket_ ? socket_->fd() : -1; }

void Port::settle(Status status) {
  state_ = status.ok() ? State::kReady : State::kFailed;
  if (!status.ok()) log_->warn(status.error());
}

void Port::add_route(NetLinks& links, const IpPrefix& destination,
                     const std::optional<IpAddress>& gateway) {
  if (destination.length == 0 && !default_route_) return;
  Status status = links.add_route({destination, gateway, link_.index, metric_});
  // A server in the interface's own network is reached without it.
  if (!status.ok()) log_->warn(status.error());
}

Status Port::configure_static(NetLinks& links) {
  DW_TRY(links.add_address(link_, *options_->address, options_->peer));
  std::string by;
  if (const auto& gateway = options_->gateway) {
    IpPrefix everything{{.v6 = gateway->v6}, 0};
    add_route(links, everything, gateway);
    by = ", gateway " + to_text(*gateway);
  }
  log_->say("network: %s: %s%s", describe(link_).c_str(), to_text(*options_->address).c_str(),
            by.c_str());
  return {};
}

Status Port::configure_lease(NetLinks& links) {
  if (lease_->mtu && !options_->mtu)
    if (Status status = links.set_mtu(link_, *lease_->mtu); !status.ok())
      log_->warn(status.error());
  DW_TRY(links.add_address(link_, lease_->address, std::nullopt));
  std::string by;
  for (const DhcpRoute& route : lease_->routes) {
    bool on_link = route.gateway == IpAddress{};
    add_route(links, route.destination,
              on_link ? std::nullopt : std::optional<IpAddress>(route.gateway));
    if (route.destination.length == 0) by = ", gateway " + to_text(route.gateway);
  }
  log_->say("network: %s: %s%s, by DHCP from %s, lease %" PRIu32 " s", describe(link_).c_str(),
            to_text(lease_->address).c_str(), by.c_str(), to_text(lease_->server).c_str(),
            lease_->lease_s.value_or(0));
  return {};
}

Status Port::ask(int64_t now_ms) {
  if (!exchange_) exchange_.emplace(link_.mac, random_transaction(), now_ms);
  if (!socket_) {
    DW_ASSIGN(DhcpSocket socket, DhcpSocket::open(link_.index));
    socket_.emplace(std::move(socket));
  }
  // One that cannot be sent is lost, like one that the network loses: it is sent again.
  if (auto message = exchange_->due(now_ms))
    if (Status status = socket_->send(*message); !status.ok()) log_->warn(status.error());
  return {};
}

void Port::listen(int64_t now_ms) {
  constexpr int kMaxMessages = 64;
  for (int i = 0; i < kMaxMessages && !exchange_->lease(); i++) {
    auto message = socket_->receive();
    if (!message) return;
    if (auto reply = parse_dhcp(*message); reply.ok()) exchange_->receive(*reply, now_ms);
  }
}

Status Port::look_for_automatic(NetLinks& links) {
  DW_ASSIGN(std::optional<IpPrefix> address, links.automatic_address(link_));
  if (!address) return {};
  log_->say("network: %s: %s, as a router advertises", describe(link_).c_str(),
            to_text(*address).c_str());
  state_ = State::kReady;
  return {};
}

std::string Port::what_is_missing() const {
  std::string text = "network: " + describe(link_) + ": ";
  if (state_ == State::kNoCarrier)
    return text + "no carrier: is the cable in, and is the switch's port on?";
  if (state_ == State::kFailed) return text + "it could not be set up";
  if (options_->by == AddressBy::kAuto6)
    return text + "it has a carrier, but no router advertises an address";
  const char* why = exchange_ ? exchange_->why() : "no DHCP server answers";
  return text + "it has a carrier, but " + why + "; ip=ADDRESS::GATEWAY:NETMASK::" + link_.name +
         ":none needs none";
}

}  // namespace dw
