// One interface on its way to one address.
//
// Thread safety: none. Ownership: refers to options and log, which outlive it.
#pragma once

#include "initrd-hooks/standalone/log.h"
#include "initrd-hooks/standalone/network/dhcp_exchange.h"
#include "initrd-hooks/standalone/network/dhcp_socket.h"
#include "initrd-hooks/standalone/network/net_link.h"
#include "initrd-hooks/standalone/network/network_options.h"

namespace dw {

class Port {
 public:
  enum class State : uint8_t { kNoCarrier, kAsking, kReady, kFailed };

  Port(const InterfaceOptions& options, const NetLink& link, uint32_t metric, bool default_route,
       const Log& log)
      : options_(&options),
        link_(link),
        metric_(metric),
        default_route_(default_route),
        log_(&log) {}

  // Sets MAC, MTU and the interface itself up.
  void wake(NetLinks& links);

  // Goes on as far as it can now; `link` is the interface as it is now.
  void advance(NetLinks& links, const NetLink& link, int64_t now_ms);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const InterfaceOptions& options() const { return *options_; }
  [[nodiscard]] const NetLink& link() const { return link_; }
  [[nodiscard]] const std::optional<DhcpLease>& lease() const { return lease_; }
  // What a reply of DHCP arrives at; -1: none is waited for.
  [[nodiscard]] int fd() const;
  // One line for a port that is not ready: what is missing, and what to do.
  [[nodiscard]] std::string what_is_missing() const;

 private:
  void settle(Status status);
  Status configure_static(NetLinks& links);
  Status configure_lease(NetLinks& links);
  Status ask(int64_t now_ms);
  void listen(int64_t now_ms);
  Status look_for_automatic(NetLinks& links);
  void add_route(NetLinks& links, const IpPrefix& destination,
                 const std::optional<IpAddress>& gateway);

  const InterfaceOptions* options_;
  NetLink link_;
  uint32_t metric_;
  bool default_route_;
  const Log* log_;
  State state_ = State::kNoCarrier;
  std::optional<DhcpSocket> socket_;
  std::optional<DhcpExchange> exchange_;
  std::optional<DhcpLease> lease_;
};

}  // namespace dw
