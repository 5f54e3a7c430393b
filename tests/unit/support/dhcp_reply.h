// Replies of a DHCP server, right or wrong, for tests.
#pragma once

#include <algorithm>
#include <vector>

#include "initrd-hooks/standalone/network/ip_address.h"

namespace dw::test {

class ReplyBuilder {
 public:
  // `transaction` as the client counts it, not in network byte order.
  ReplyBuilder(uint8_t type, uint32_t transaction, const MacAddress& mac, const IpAddress& yours)
      : message_(240) {
    message_[0] = std::byte{2};
    message_[1] = std::byte{1};
    message_[2] = std::byte{6};
    store<uint32_t>(message_, 4, __builtin_bswap32(transaction));
    std::ranges::copy(yours.view(), message_.begin() + 16);
    std::ranges::copy(mac.bytes, message_.begin() + 28);
    store<uint32_t>(message_, 236, __builtin_bswap32(0x63825363));
    option(53, {type});
  }

  ReplyBuilder& option(uint8_t number, const std::vector<uint8_t>& value) {
    raw({number, static_cast<uint8_t>(value.size())});
    return raw(value);
  }
  ReplyBuilder& raw(const std::vector<uint8_t>& bytes) {
    for (uint8_t byte : bytes) message_.push_back(static_cast<std::byte>(byte));
    return *this;
  }
  ReplyBuilder& in_server_name(const std::vector<uint8_t>& bytes) { return put(44, bytes); }
  ReplyBuilder& in_boot_file(const std::vector<uint8_t>& bytes) { return put(108, bytes); }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> whole = message_;
    whole.push_back(std::byte{255});
    return whole;
  }

 private:
  ReplyBuilder& put(size_t at, const std::vector<uint8_t>& bytes) {
    for (uint8_t byte : bytes) message_[at++] = static_cast<std::byte>(byte);
    return *this;
  }

  std::vector<std::byte> message_;
};

}  // namespace dw::test
