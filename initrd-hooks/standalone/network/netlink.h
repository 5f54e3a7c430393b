// Requests to the kernel's routing netlink (rtnetlink(7)), one at a time.
//
// Thread safety: a socket belongs to one thread. The kernel answers at once; a time limit is there
// all the same.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "capture/base/fd.h"

namespace dw {

// A message that is being built: the header of its type, then attributes.
class NetlinkRequest {
 public:
  template <typename Header>
  NetlinkRequest(uint16_t type, uint16_t flags, const Header& header)
      : NetlinkRequest(type, flags, bytes_of(header)) {}

  void add(uint16_t attribute, Bytes value);
  void add_number(uint16_t attribute, uint32_t value) { add(attribute, bytes_of(value)); }
  // With the zero that the kernel expects behind it.
  void add_text(uint16_t attribute, const std::string& text) {
    add(attribute, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  }
  // What is added until end() is inside of it. Returns what end() needs.
  [[nodiscard]] size_t begin(uint16_t attribute);
  // Some attributes begin with a header of their own.
  template <typename Header>
  void add_header(const Header& header) {
    append(bytes_of(header));
  }
  void end(size_t nest);

 private:
  friend class NetlinkSocket;
  NetlinkRequest(uint16_t type, uint16_t flags, Bytes header);
  void append(Bytes bytes);

  std::vector<std::byte> message_;
};

// Calls `take` for each attribute; one that lies about its length ends it. The type comes without
// the flags that it may carry.
void for_each_attribute(Bytes attributes, const std::function<void(uint16_t, Bytes)>& take);

class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open();

  // Sends it and waits for the kernel's word. An error has the kernel's errno and says `what`.
  Status request(NetlinkRequest request, const char* what);

  // Sends a request for a list; `take` gets what is in each message of it, behind netlink's header.
  Status dump(NetlinkRequest request, const char* what,
              const std::function<void(uint16_t type, Bytes)>& take);

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  Status send(NetlinkRequest& request, uint16_t flags, const char* what);

  Fd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace dw
