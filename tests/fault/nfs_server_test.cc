// What real NFS servers do at the wrong moment: they are killed, started again, and full.
#include "capture/target/nfs/nfs_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "capture/base/clock.h"
#include "capture/base/fd.h"
#include "capture/target/server/server_target.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/nfs_server.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/trials.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr ServerTimes kTimes{
    .connect_ms = 20'000, .reply_ms = 20'000, .sync_ms = 60'000, .keepalive_ms = 1'000};

std::string told(const Error& error) {
  char text[600];
  error.format(text, sizeof(text));
  return text;
}

template <typename T>
void require_ok(const Result<T>& result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : told(result.error())));
}

std::unique_ptr<FileServer> opened(const NfsAddress& address) {
  auto server = NfsServer::open(address, kTimes);
  require_ok(server);
  return std::move(*server);
}

std::unique_ptr<ServerFile> opened_file(FileServer& server, const std::string& path,
                                        FileServer::Open how) {
  auto file = server.open(path, how);
  require_ok(file);
  return std::move(*file);
}

std::vector<std::byte> pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> made(size);
  uint32_t state = seed;
  for (std::byte& byte : made) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return made;
}

Fd listener(uint16_t& port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(fd.get(), 4) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return fd;
}

// Passes one client on to a server, and to the next server on that port when it is gone: the
// client's connection survives.
class PatientRelay {
 public:
  explicit PatientRelay(uint16_t to) : to_(to), listener_(listener(port_)) {
    thread_ = std::thread([this] { run(); });
  }
  PatientRelay(const PatientRelay&) = delete;
  PatientRelay& operator=(const PatientRelay&) = delete;
  ~PatientRelay() {
    ended_ = true;
    thread_.join();
  }
  [[nodiscard]] uint16_t port() const { return port_; }

 private:
  static constexpr int kPauseMs = 20;

  [[nodiscard]] Fd connected() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(to_);
    while (!ended_) {
      Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
        return fd;
      ::usleep(kPauseMs * 1000);
    }
    return {};
  }

  // Whether `from` is still there.
  static bool pass(int from, int to) {
    char buffer[65536];
    ssize_t n = ::recv(from, buffer, sizeof(buffer), 0);
    for (ssize_t sent = 0; sent < n;) {
      ssize_t k = ::send(to, buffer + sent, static_cast<size_t>(n - sent), MSG_NOSIGNAL);
      if (k <= 0) break;
      sent += k;
    }
    return n > 0;
  }

  void run() {
    Fd client;
    Fd server;
    while (!ended_) {
      pollfd waiting[3] = {
          {listener_.get(), POLLIN, 0}, {client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
      if (::poll(waiting, 3, kPauseMs) <= 0) continue;
      if (waiting[0].revents != 0) {
        client = Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        server = connected();
        continue;
      }
      if (waiting[1].revents != 0 && !pass(client.get(), server.get())) client = Fd();
      if (waiting[2].revents != 0 && !pass(server.get(), client.get())) server = connected();
    }
  }

  uint16_t to_;
  uint16_t port_ = 0;
  Fd listener_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

// What was committed is there, whatever happened to the connection.
void check_committed(FileServer& server, const std::string& path, Bytes data, uint64_t committed) {
  if (committed == 0) return;
  auto file = opened_file(server, path, FileServer::Open::kRead);
  CHECK(file->size().value() >= committed);
  std::vector<std::byte> back(committed);
  require_ok(file->read(0, back));
  CHECK(std::equal(back.begin(), back.end(), data.begin()));
}

// Writes on from `at` and commits now and then, until it is lost. `at` becomes what is vouched for.
void write_until_lost(ServerFile& file, Bytes data, uint64_t& at) {
  constexpr size_t kPiece = 300'000;
  constexpr uint64_t kEvery = 3 << 20;
  uint64_t next = at;
  while (next < data.size()) {
    Bytes piece = data.subspan(next, std::min<size_t>(kPiece, data.size() - next));
    if (!file.write(next, piece).ok()) return;
    next += piece.size();
    if (next - at < kEvery && next < data.size()) continue;
    if (!file.commit().ok()) return;
    at = next;
  }
}

}  // namespace

TEST_CASE("NFS: of a server that is killed again and again no committed byte is lost") {
  TimeLimit limit(300);
  Trials trials("kills of an NFS server");
  std::mt19937_64 dice(trials.seed());
  std::vector<std::byte> data = pattern(64 << 20, 1);
  for (int version : {3, 4}) {
    CAPTURE(version);
    TestNfs nfs;
    std::string path = "dump";
    require_ok(opened(address_of(nfs, version))->open(path, FileServer::Open::kCreate));
    uint64_t committed = 0;
    for (int kills = 0; kills < 40; kills++) {
      auto after_ms = static_cast<useconds_t>(dice() % 150);
      if (!trials.take() || committed == data.size()) continue;
      auto server = opened(address_of(nfs, version));
      check_committed(*server, path, data, committed);
      auto file = opened_file(*server, path, FileServer::Open::kReadWrite);
      std::thread killer([&] {
        ::usleep(after_ms * 1000);
        nfs.kill();
      });
      uint64_t start_ms = monotonic_ms();
      write_until_lost(*file, data, committed);
      killer.join();
      // Far below the limits of waiting: a connection that breaks is noticed.
      CHECK(monotonic_ms() - start_ms < kTimes.reply_ms);
      nfs.restart();
    }
    auto server = opened(address_of(nfs, version));
    auto file = opened_file(*server, path, FileServer::Open::kReadWrite);
    write_until_lost(*file, data, committed);
    CHECK(committed == data.size());
    check_committed(*server, path, data, committed);
  }
}

TEST_CASE("NFS: a server that was started again behind a living connection is found out") {
  TimeLimit limit(120);
  std::vector<std::byte> data = pattern(1 << 20, 2);
  for (bool write_after : {false, true}) {
    CAPTURE(write_after);
    TestNfs nfs;
    PatientRelay relay(nfs.port());
    NfsAddress address = address_of(nfs, 3);
    address.port = relay.port();
    auto server = opened(address);
    auto file = opened_file(*server, "dump", FileServer::Open::kCreate);
    require_ok(file->write(0, data));
    require_ok(file->commit());
    // What is committed is owed nothing: the file goes on at the next boot.
    ::sleep(1);  // the server's verifier is the second in which it was started
    nfs.kill();
    nfs.restart();
    require_ok(file->write(data.size(), data));
    require_ok(file->flush());
    ::sleep(1);
    nfs.kill();
    nfs.restart();
    Status status = write_after ? file->write(2 * data.size(), data) : file->commit();
    if (write_after && status.ok()) status = file->flush();
    REQUIRE_FALSE(status.ok());
    INFO(told(status.error()));
    CHECK(status.error().kind() == ErrorKind::kLost);
    CHECK(told(status.error()).find("started again") != std::string::npos);
    CHECK(is_lost(server->look("dump").error()));
  }
}

TEST_CASE("NFS: a dump outlives a pause that is longer than the server's lease") {
  TimeLimit limit(120);
  constexpr unsigned kLeaseSeconds = 5;
  TestNfs nfs({"--lease", std::to_string(kLeaseSeconds)});
  auto server = opened(address_of(nfs, 4));
  std::vector<std::byte> data = pattern(1 << 20, 4);
  auto target = ServerTarget::create(*server, "host-1", "vmcore");
  require_ok(target);
  require_ok((*target)->write_at(0, data));
  require_ok((*target)->sync());
  ::sleep(kLeaseSeconds + 3);
  require_ok((*target)->write_at(data.size(), data));
  require_ok((*target)->sync());
  require_ok((*target)->publish());
}

TEST_CASE("NFS: a full disk is told, and its room can be used again") {
  TimeLimit limit(120);
  if (!may_mount()) return;
  LoopDisk disk("ext4", 24);
  TestNfs nfs({"--export", disk.path()});
  std::vector<std::byte> data = pattern(64 << 20, 3);
  for (int version : {3, 4}) {
    CAPTURE(version);
    auto server = opened(address_of(nfs, version));
    auto file = opened_file(*server, "dump", FileServer::Open::kCreate);
    uint64_t free = server->free_bytes().value().value();
    CHECK(free < data.size());
    Status status = file->write(0, data);
    if (status.ok()) status = file->commit();
    REQUIRE_FALSE(status.ok());
    INFO(told(status.error()));
    CHECK(status.error().kind() == ErrorKind::kNoSpace);
    CHECK(status.error().subject().ends_with("/export/dump"));
    // Others of the writes that were on their way may say the same, each once.
    while (!file->flush().ok()) {
    }
    require_ok(file->truncate(0));
    require_ok(file->write(0, Bytes(data).first(1 << 20)));
    require_ok(file->commit());
    check_committed(*server, "dump", data, 1 << 20);
    file.reset();
    require_ok(server->remove("dump"));
  }
}
