#include "initrd-hooks/standalone/network/dhcp_exchange.h"

#include <algorithm>

namespace dw {

namespace {

constexpr int64_t kDelayAfterNakMs = 1000;

DhcpLease lease_of(const DhcpReply& reply, const IpAddress& server) {
  std::optional<uint8_t> length = reply.mask ? prefix_of_mask(*reply.mask) : std::nullopt;
  DhcpLease lease{.address = {reply.address, length.value_or(classful_prefix(reply.address))},
                  .server = server,
                  .routes = reply.routes,
                  .name_servers = reply.name_servers,
                  .domain = reply.domain,
                  .mtu = reply.mtu,
                  .lease_s = reply.lease_s};
  if (lease.routes.empty() && !reply.routers.empty())
    lease.routes.push_back({.destination = {}, .gateway = reply.routers.front()});
  return lease;
}

}  // namespace

std::optional<std::vector<std::byte>> DhcpExchange::due(int64_t now_ms) {
  if (lease_ || now_ms < due_ms_) return std::nullopt;
  if (offer_ && sent_ >= kMaxRequests) {
    passed_over_ = offer_->server;
    start_over(now_ms, 0);
  }
  // Not all clients of a network shall send at the same time.
  int64_t jitter_ms = transaction_ % 256;
  due_ms_ = now_ms + std::min(kFirstWaitMs << std::min(sent_, 8U), kLongestWaitMs) + jitter_ms;
  sent_++;
  return build_dhcp(message(now_ms));
}

DhcpRequest DhcpExchange::message(int64_t now_ms) const {
  DhcpRequest request;
  request.type = offer_ ? DhcpType::kRequest : DhcpType::kDiscover;
  request.transaction = transaction_;
  request.seconds = static_cast<uint16_t>(std::min<int64_t>((now_ms - started_ms_) / 1000, 65535));
  request.mac = mac_;
  if (offer_) {
    request.address = offer_->address;
    request.server = offer_->server;
  }
  return request;
}

void DhcpExchange::start_over(int64_t now_ms, int64_t delay_ms) {
  offer_.reset();
  sent_ = 0;
  transaction_++;  // what is still on its way belongs to the past
  due_ms_ = now_ms + delay_ms;
}

bool DhcpExchange::is_passed_over(const IpAddress& server) const {
  // When nobody else offers anything, it gets another chance.
  return passed_over_ == server && sent_ < 2;
}

void DhcpExchange::take_offer(const DhcpReply& reply, int64_t now_ms) {
  if (reply.type != DhcpType::kOffer || !reply.server || is_passed_over(*reply.server)) return;
  offered_ = true;
  offer_ = reply;
  sent_ = 0;
  due_ms_ = now_ms;
}

void DhcpExchange::receive(const DhcpReply& reply, int64_t now_ms) {
  if (lease_ || reply.transaction != transaction_ || reply.mac != mac_) return;
  if (!offer_) {
    take_offer(reply, now_ms);
    return;
  }
  if (reply.server && reply.server != offer_->server) return;
  if (reply.type == DhcpType::kAck) lease_ = lease_of(reply, *offer_->server);
  if (reply.type == DhcpType::kNak) {
    refused_ = true;
    passed_over_ = offer_->server;
    start_over(now_ms, kDelayAfterNakMs);
  }
}

const char* DhcpExchange::why() const {
  if (refused_) return "the DHCP server refuses the address that it offered";
  if (offered_) return "the DHCP server does not grant what it offered";
  return "no DHCP server answers";
}

}  // namespace dw
