#include "initrd-hooks/standalone/network/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "capture/base/checked.h"

namespace dw {

namespace {

constexpr size_t kMaxRequest = 1024;
constexpr size_t kReceiveBuffer = 32 * 1024;
constexpr size_t kMaxReplies = 4096;
constexpr timeval kTimeLimit{.tv_sec = 5, .tv_usec = 0};

enum class Answer : uint8_t { kMore, kDone };

// What the kernel says in an NLMSG_ERROR or NLMSG_DONE: 0 or a negative errno.
int error_in(Bytes payload) { return payload.size() < 4 ? -EPROTO : load<int32_t>(payload, 0); }

// Looks at all messages of `received` with this sequence number.
Result<Answer> read_messages(Bytes received, uint32_t sequence, const char* what,
                             const std::function<void(uint16_t, Bytes)>& take) {
  while (received.size() >= sizeof(nlmsghdr)) {
    auto header = load<nlmsghdr>(received, 0);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > received.size())
      return Error::from_errno(what, EPROTO);
    Bytes payload = received.subspan(sizeof(nlmsghdr), header.nlmsg_len - sizeof(nlmsghdr));
    received = received.subspan(std::min(received.size(), align_up(header.nlmsg_len, 4)));
    if (header.nlmsg_seq != sequence) continue;  // of an earlier request that ran out of time
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
      int error = error_in(payload);
      if (error != 0) return Error::from_errno(what, -error);
      return Answer::kDone;
    }
    if (take) take(header.nlmsg_type, payload);
  }
  return Answer::kMore;
}

Result<size_t> receive(int fd, MutableBytes buffer, const char* what) {
  for (;;) {
    ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (size >= 0) return static_cast<size_t>(size);
    if (errno == EINTR) continue;
    return Error::from_errno(what, errno == EAGAIN ? ETIMEDOUT : errno);
  }
}

}  // namespace

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags, Bytes header)
    : message_(sizeof(nlmsghdr)) {
  nlmsghdr start{};
  start.nlmsg_type = type;
  start.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
  store(MutableBytes(message_), 0, start);
  append(header);
}

void NetlinkRequest::append(Bytes bytes) {
  message_.insert(message_.end(), bytes.begin(), bytes.end());
  message_.resize(align_up(message_.size(), 4));
  DW_CHECK(message_.size() <= kMaxRequest);
}

void NetlinkRequest::add(uint16_t attribute, Bytes value) {
  // The padding behind a value does not count.
  auto size = static_cast<uint16_t>(sizeof(nlattr) + value.size());
  append(bytes_of(nlattr{.nla_len = size, .nla_type = attribute}));
  append(value);
}

size_t NetlinkRequest::begin(uint16_t attribute) {
  size_t at = message_.size();
  append(bytes_of(nlattr{.nla_len = 0, .nla_type = attribute}));
  return at;
}

void NetlinkRequest::end(size_t nest) {
  store(MutableBytes(message_), nest, static_cast<uint16_t>(message_.size() - nest));
}

void for_each_attribute(Bytes attributes, const std::function<void(uint16_t, Bytes)>& take) {
  while (attributes.size() >= sizeof(nlattr)) {
    auto header = load<nlattr>(attributes, 0);
    if (header.nla_len < sizeof(nlattr) || header.nla_len > attributes.size()) return;
    take(header.nla_type & NLA_TYPE_MASK,
         attributes.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr)));
    attributes = attributes.subspan(std::min(attributes.size(), align_up(header.nla_len, 4)));
  }
}

Result<NetlinkSocket> NetlinkSocket::open() {
  constexpr const char* kWhat = "cannot talk to the kernel about the network";
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return Error::from_errno(kWhat);
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    if (::setsockopt(fd.get(), SOL_SOCKET, option, &kTimeLimit, sizeof(kTimeLimit)) != 0)
      return Error::from_errno(kWhat);
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)) != 0)
    return Error::from_errno(kWhat);
  return NetlinkSocket(std::move(fd));
}

Status NetlinkSocket::send(NetlinkRequest& request, uint16_t flags, const char* what) {
  auto header = load<nlmsghdr>(request.message_, 0);
  header.nlmsg_len = static_cast<uint32_t>(request.message_.size());
  header.nlmsg_flags |= flags;
  header.nlmsg_seq = ++sequence_;
  store(MutableBytes(request.message_), 0, header);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = ::sendto(fd_.get(), request.message_.data(), request.message_.size(), 0,
                          reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel));
  if (sent == static_cast<ssize_t>(request.message_.size())) return {};
  return Error::from_errno(what);
}

Status NetlinkSocket::request(NetlinkRequest request, const char* what) {
  DW_TRY(send(request, NLM_F_ACK, what));
  std::vector<std::byte> buffer(kReceiveBuffer);
  for (size_t i = 0; i < kMaxReplies; i++) {
    DW_ASSIGN(size_t size, receive(fd_.get(), buffer, what));
    DW_ASSIGN(Answer answer, read_messages(Bytes(buffer).first(size), sequence_, what, {}));
    if (answer == Answer::kDone) return {};
  }
  return Error::from_errno(what, EPROTO);
}

Status NetlinkSocket::dump(NetlinkRequest request, const char* what,
                           const std::function<void(uint16_t, Bytes)>& take) {
  DW_TRY(send(request, NLM_F_DUMP, what));
  std::vector<std::byte> buffer(kReceiveBuffer);
  for (size_t i = 0; i < kMaxReplies; i++) {
    DW_ASSIGN(size_t size, receive(fd_.get(), buffer, what));
    DW_ASSIGN(Answer answer, read_messages(Bytes(buffer).first(size), sequence_, what, take));
    if (answer == Answer::kDone) return {};
  }
  return Error::from_errno(what, EPROTO);
}

}  // namespace dw
