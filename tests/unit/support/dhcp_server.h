// A DHCP server for tests, on an interface of the calling thread's network namespace. It answers
// with one address, 192.0.2.5/24, a gateway, a name server and a domain.
//
// Runs in a thread of its own until it is destroyed. errors() may be read after that.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "capture/base/fd.h"

namespace dw::test {

class DhcpServer {
 public:
  enum class Mood : uint8_t { kGrants, kGrantsLate, kRefuses, kSilentAfterOffer };
  // kGrantsLate: what comes first is not answered. `more`: options that go into its replies as they
  // are.
  DhcpServer(const std::string& interface, Mood mood, std::vector<uint8_t> more = {});
  ~DhcpServer();
  DhcpServer(const DhcpServer&) = delete;
  DhcpServer& operator=(const DhcpServer&) = delete;

  [[nodiscard]] int requests() const { return requests_; }

 private:
  void run();
  void answer(Bytes message);
  void send(Bytes message) const;

  Mood mood_;
  std::vector<uint8_t> more_;
  int index_;
  Fd socket_;
  std::atomic<bool> stop_{false};
  bool was_asked_ = false;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

}  // namespace dw::test
