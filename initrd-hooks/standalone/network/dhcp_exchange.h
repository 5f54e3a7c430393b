// DHCP for IPv4: what a client says and when, until it has an address (RFC 2131, section 4.4).
//
// Discover, take the first offer, request it, be granted it. What is not answered is sent again; a
// server that refuses, or falls silent after its offer, is passed over once. There is no end to
// this: the caller has a time limit, and reads why() then. No input, no output, no clock.
// Thread safety: none.
#pragma once

#include "initrd-hooks/standalone/network/dhcp_message.h"

namespace dw {

struct DhcpLease {
  IpPrefix address;
  IpAddress server;
  std::vector<DhcpRoute> routes;  // the default route among them
  std::vector<IpAddress> name_servers;
  std::string domain;
  std::optional<uint32_t> mtu;
  std::optional<uint32_t> lease_s;
};

class DhcpExchange {
 public:
  // `transaction` should be random: replies are known by it.
  DhcpExchange(const MacAddress& mac, uint32_t transaction, int64_t now_ms)
      : mac_(mac), transaction_(transaction), started_ms_(now_ms), due_ms_(now_ms) {}

  // The message that is to be sent now, if any; the next one is due later.
  std::optional<std::vector<std::byte>> due(int64_t now_ms);

  // Replies that are not for this exchange, or come too late, change nothing.
  void receive(const DhcpReply& reply, int64_t now_ms);

  // Once there is one, nothing is due any more.
  [[nodiscard]] const std::optional<DhcpLease>& lease() const { return lease_; }

  // A clause that says what has been missing so far.
  [[nodiscard]] const char* why() const;

  static constexpr int64_t kFirstWaitMs = 1000;
  static constexpr int64_t kLongestWaitMs = 8000;
  static constexpr uint32_t kMaxRequests = 3;

 private:
  void start_over(int64_t now_ms, int64_t delay_ms);
  void take_offer(const DhcpReply& reply, int64_t now_ms);
  [[nodiscard]] bool is_passed_over(const IpAddress& server) const;
  [[nodiscard]] DhcpRequest message(int64_t now_ms) const;

  MacAddress mac_;
  uint32_t transaction_;
  int64_t started_ms_;
  int64_t due_ms_;
  uint32_t sent_ = 0;  // of the message that is being sent
  std::optional<DhcpReply> offer_;
  std::optional<IpAddress> passed_over_;
  bool offered_ = false;
  bool refused_ = false;
  std::optional<DhcpLease> lease_;
};

}  // namespace dw
