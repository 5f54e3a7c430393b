// What an NFS server may send: a whole client talks to one that answers with any bytes.
//
// Input: a byte that chooses version and pieces, then replies: two bytes of length and flags, and
// the results of a call (the header of its reply is right), or a whole record (it is not). When the
// input ends, so does the connection.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "capture/base/fd.h"
#include "capture/target/nfs/nfs3.h"
#include "capture/target/nfs/nfs4.h"
#include "capture/target/nfs/nfs_file.h"

using namespace dw;

namespace {

constexpr ServerTimes kTimes{
    .connect_ms = 5'000, .reply_ms = 10, .sync_ms = 10, .keepalive_ms = 1'000};

void must(bool condition) {
  if (!condition) std::abort();
}

uint32_t swapped(uint32_t value) { return __builtin_bswap32(value); }

bool read_all(int fd, void* into, size_t size) {
  return ::recv(fd, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

// The xid of the next call, as it was sent; 0 at the end.
uint32_t next_call(int fd) {
  uint32_t head[2];
  if (!read_all(fd, head, sizeof(head))) return 0;
  size_t left = (swapped(head[0]) & 0x7fffffff) - 4;
  std::vector<char> rest(left);
  return read_all(fd, rest.data(), left) ? head[1] : 0;
}

class FakeServer {
 public:
  explicit FakeServer(Bytes input) : input_(input) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    must(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    must(::listen(listener_.get(), 1) == 0);
    must(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() { thread_.join(); }
  [[nodiscard]] uint16_t port() const { return port_; }

 private:
  void serve() {
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    int now = 1;
    static_cast<void>(::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &now, sizeof(now)));
    while (input_.size() >= 2) {
      uint32_t xid = next_call(client.get());
      if (xid == 0) return;
      auto first = static_cast<uint8_t>(input_[0]);
      size_t size = (first & 0x3f) << 8 | static_cast<uint8_t>(input_[1]);
      size = std::min(size, input_.size() - 2);
      answer(client.get(), xid, (first & 0x80) != 0, input_.subspan(2, size));
      input_ = input_.subspan(2 + size);
    }
  }

  static void answer(int fd, uint32_t xid, bool raw, Bytes body) {
    std::vector<std::byte> record;
    if (!raw) {
      uint32_t size = swapped(0x80000000U | static_cast<uint32_t>(24 + body.size()));
      uint32_t header[7] = {size, xid, swapped(1), 0, 0, 0, 0};
      record.assign(std::as_bytes(std::span(header)).begin(),
                    std::as_bytes(std::span(header)).end());
    }
    // Not by insert(): gcc 12 at -O2 warns of what cannot be.
    for (std::byte byte : body) record.push_back(byte);
    static_cast<void>(::send(fd, record.data(), record.size(), MSG_NOSIGNAL));
  }

  Bytes input_;
  Fd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

void use_file(NfsProtocol& protocol, std::unique_ptr<NfsOpenFile> open_file) {
  auto traffic = NfsTraffic::create(protocol, NfsTraffic::kFewBlocks);
  must(traffic.ok());
  NfsFile file(protocol, **traffic, std::move(open_file), "file");
  std::vector<std::byte> data(3000, std::byte{1});
  static_cast<void>(file.write(0, data));
  static_cast<void>(file.write(3000, data));
  static_cast<void>(file.commit());
  Status read = file.read(0, data);
  must(read.ok() || read.error().what() != nullptr);
  static_cast<void>(file.size());
  static_cast<void>(file.truncate(7));
}

void use(NfsProtocol& protocol, const NfsHandle& root) {
  auto entry = protocol.look_up(root, "name");
  if (entry.ok()) must(entry->handle.size > 0 && entry->handle.size <= NfsHandle::kMaxSize);
  static_cast<void>(protocol.free_bytes(root));
  static_cast<void>(protocol.make_directory(root, "folder"));
  static_cast<void>(protocol.remove(root, "folder", true));
  auto file = protocol.open(root, "file", FileServer::Open::kCreate);
  if (file.ok()) use_file(protocol, std::move(*file));
}

void use3(RpcConnection& connection) {
  NfsHandle root;
  root.size = 8;
  Nfs3 protocol(connection);
  if (protocol.begin(root, NfsTraffic::kMostWritten).ok()) use(protocol, root);
}

void use4(RpcConnection& connection) {
  Nfs4 protocol(connection);
  auto root = protocol.begin();
  if (!root.ok()) return;
  auto directory = protocol.look_up(*root, "export");
  if (!directory.ok()) return;
  if (protocol.learn_limits(directory->handle, NfsTraffic::kMostWritten).ok())
    use(protocol, directory->handle);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  FakeServer server(std::as_bytes(std::span(data, size)).subspan(1));
  RpcPeer peer{.host = "127.0.0.1", .port = server.port(), .display = "fuzz"};
  auto connection = RpcConnection::connect(peer, kTimes, NfsTraffic::kMostWritten);
  must(connection.ok());
  if (data[0] % 2 == 0) {
    use3(**connection);
  } else {
    use4(**connection);
  }
  // The server's thread ends when its client goes.
  connection->reset();
  return 0;
}
