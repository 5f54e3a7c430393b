// An SSH server that is stopped, killed, full, slow, or says odd things.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "capture/base/clock.h"
#include "capture/base/fd.h"
#include "capture/target/server/tcp_connect.h"
#include "tests/fault/file_server_contract.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/ssh_login.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

using Open = FileServer::Open;

// Of a call whose limit is 2 s at most, on a machine that does other things too.
constexpr uint64_t kSoonMs = 10'000;
// Of one that has nothing to wait for: less than any limit here.
constexpr uint64_t kAtOnceMs = 1'900;

uint64_t took_ms(const std::function<void()>& call) {
  uint64_t start = monotonic_ms();
  call();
  return monotonic_ms() - start;
}

sockaddr_in loopback(const char* address, uint16_t port) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  ::inet_pton(AF_INET, address, &place.sin_addr);
  return place;
}

// Takes connections into its queue and says nothing.
class SilentListener {
 public:
  explicit SilentListener(int queue) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in place = loopback("127.0.0.1", 0);
    socklen_t size = sizeof(place);
    REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&place), size) == 0);
    REQUIRE(::listen(fd_.get(), queue) == 0);
    REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&place), &size) == 0);
    port_ = ntohs(place.sin_port);
  }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] Fd accept() const { return Fd(::accept(fd_.get(), nullptr, nullptr)); }

 private:
  Fd fd_;
  uint16_t port_ = 0;
};

std::unique_ptr<ServerFile> made(FileServer& server, const std::string& name) {
  Result<std::unique_ptr<ServerFile>> file = server.open(name, Open::kCreate);
  REQUIRE_MESSAGE(file.ok(), (file.ok() ? "" : told(file.error())));
  return std::move(*file);
}

// Writes more and more, until an error tells why not.
Error write_until_refused(ServerFile& file) {
  std::vector<std::byte> bytes(512 << 10);
  for (uint64_t at = 0; at < (uint64_t{4} << 30); at += bytes.size()) {
    if (Status written = file.write(at, bytes); !written.ok()) return written.error();
  }
  FAIL("a server took 4 GiB that it has not");
  return Error(ErrorKind::kIo, "");
}

void check_all_lost(FileServer& server, ServerFile& file) {
  std::byte byte{};
  std::vector<std::function<bool()>> calls = {
      [&] { return is_lost(file.write(0, Bytes(&byte, 1)).error()); },
      [&] { return is_lost(file.read(0, MutableBytes(&byte, 1)).error()); },
      [&] { return is_lost(file.flush().error()); },
      [&] { return is_lost(file.commit().error()); },
      [&] { return is_lost(file.start_commit().error()); },
      [&] { return file.commit_done(); },
      [&] { return is_lost(file.finish_commit().error()); },
      [&] { return is_lost(file.truncate(0).error()); },
      [&] { return is_lost(file.size().error()); },
      [&] { return is_lost(server.look("x").error()); },
      [&] { return is_lost(server.make_directory("x").error()); },
      [&] { return is_lost(server.open("x", Open::kCreate).error()); },
      [&] { return is_lost(server.rename("x", "y").error()); },
      [&] { return is_lost(server.replace("x", "y").error()); },
      [&] { return is_lost(server.remove("x").error()); },
      [&] { return is_lost(server.remove_directory("x").error()); },
      [&] { return is_lost(server.free_bytes().error()); }};
  for (const auto& call : calls) {
    CHECK(took_ms([&] { CHECK(call()); }) < kAtOnceMs);
  }
}

}  // namespace

TEST_CASE("ssh: a server that says nothing is given up within the limit") {
  TimeLimit limit(60);
  TestSshd sshd;
  Login login(sshd);
  SilentListener silent(16);
  login.address.port = silent.port();
  CHECK(took_ms([&] {
          check_says(login.refused(kNoConnection), ErrorKind::kTimeout, "the login took too long");
        }) < kSoonMs);

  // One whose queue is full does not even take the connection.
  SilentListener full(0);
  ServerTimes times;
  std::vector<Fd> waiting;
  Endpoint place = resolve("127.0.0.1", full.port(), 1000)->front();
  for (int i = 0; i < 4; ++i) waiting.push_back(std::move(*begin_connect(place, times)));
  login.address.port = full.port();
  CHECK(took_ms([&] {
          check_says(login.refused(kNoConnection), ErrorKind::kTimeout, "cannot connect");
        }) < kSoonMs);
}

TEST_CASE("ssh: a server that hangs up, or is none") {
  TimeLimit limit(60);
  TestSshd sshd;
  Login login(sshd);
  SilentListener listener(16);
  login.address.port = listener.port();
  for (const char* greeting : {"", "220 mail.example ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                               "SSH-2.0-OpenSSH_9.2\r\n\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    CAPTURE(greeting);
    std::thread server([&] {
      Fd client = listener.accept();
      static_cast<void>(!::write(client.get(), greeting, strlen(greeting)));
    });
    Error error = login.refused(kNoConnection);
    server.join();
    CHECK(is_lost(error));
  }
}

TEST_CASE("ssh: a resolver that does not answer is given up within the limit") {
  TimeLimit limit(60);
  if (!may_mount()) return;
  TempDir folder;
  write_file(folder / "resolv.conf", "nameserver 127.0.0.77\noptions timeout:3 attempts:1\n");
  Fd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in place = loopback("127.0.0.77", 53);
  REQUIRE(::bind(silent.get(), reinterpret_cast<sockaddr*>(&place), sizeof(place)) == 0);
  REQUIRE(::mount((folder / "resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND,
                  nullptr) == 0);
  uint64_t took = took_ms([] {
    Result<std::vector<Endpoint>> found = resolve("dumps.example", 22, 300);
    REQUIRE_FALSE(found.ok());
    CHECK(found.error().kind() == ErrorKind::kTimeout);
  });
  ::sleep(4);  // its thread ends later, and uses the file
  CHECK(::umount("/etc/resolv.conf") == 0);
  CHECK(took < 2500);
}

TEST_CASE("ssh: a server that stops answering") {
  TimeLimit limit(120);
  TestSshd sshd;
  Login login(sshd);
  auto stopped = [&](const std::function<Status(FileServer&, ServerFile&)>& call) {
    std::unique_ptr<FileServer> server = login.opened(kImpatient);
    static int number = 0;
    std::unique_ptr<ServerFile> file = made(*server, "f" + std::to_string(++number));
    std::vector<std::byte> bytes(1 << 20);
    REQUIRE(file->write(0, bytes).ok());
    REQUIRE(file->flush().ok());
    sshd.stop_sessions();
    uint64_t took = took_ms([&] {
      Status status = call(*server, *file);
      REQUIRE_FALSE(status.ok());
      check_says(status.error(), ErrorKind::kTimeout, "does not answer any more");
    });
    CHECK(took < kSoonMs);
    check_all_lost(*server, *file);
    CHECK(took_ms([&] {
            file.reset();
            server.reset();
          }) < kAtOnceMs);
    sshd.continue_sessions();
  };
  stopped([](FileServer&, ServerFile& file) -> Status { return write_until_refused(file); });
  stopped([](FileServer&, ServerFile& file) {
    std::byte byte{};
    REQUIRE(file.write(0, Bytes(&byte, 1)).ok());
    return file.flush();
  });
  stopped([](FileServer&, ServerFile& file) { return file.commit(); });
  stopped([](FileServer&, ServerFile& file) {
    std::vector<std::byte> bytes(1 << 20);
    return file.read(0, bytes);
  });
  stopped([](FileServer&, ServerFile& file) { return file.truncate(1); });
  stopped([](FileServer& server, ServerFile&) { return server.make_directory("d"); });
  stopped([](FileServer& server, ServerFile&) -> Status {
    Result<ServerEntry> entry = server.look("d");
    return entry.ok() ? Status() : entry.error();
  });
}

TEST_CASE("ssh: a server that pauses for less than the limit") {
  TimeLimit limit(60);
  TestSshd sshd;
  ServerTimes times = kTimes;
  times.keepalive_ms = 100;
  std::unique_ptr<FileServer> server = Login(sshd).opened(times);
  std::unique_ptr<ServerFile> file = made(*server, "f");
  std::vector<std::byte> bytes(4 << 20);
  sshd.stop_sessions();
  std::thread later([&] {
    ::usleep(800'000);
    sshd.continue_sessions();
  });
  Status written = file->write(0, bytes);
  if (written.ok()) written = file->commit();
  later.join();
  CHECK_MESSAGE(written.ok(), (written.ok() ? "" : told(written.error())));
  CHECK(file->size().value() == bytes.size());
}

TEST_CASE("ssh: a server that is killed is lost soon, and found again when it is back") {
  TimeLimit limit(120);
  TestSshd sshd;
  Login login(sshd);
  std::unique_ptr<FileServer> server = login.opened();
  std::unique_ptr<ServerFile> file = made(*server, "f");
  std::thread killer([&] {
    ::usleep(300'000);
    sshd.kill();
  });
  CHECK(took_ms([&] { CHECK(write_until_refused(*file).kind() == ErrorKind::kLost); }) < kSoonMs);
  killer.join();
  check_all_lost(*server, *file);
  CHECK(login.refused().kind() == ErrorKind::kLost);

  sshd.restart();
  check_all_lost(*server, *file);
  std::unique_ptr<FileServer> again = login.opened();
  CHECK(again->look("f")->kind == ServerEntry::Kind::kFile);
  CHECK(again->open("f", Open::kReadWrite).ok());
}

TEST_CASE("ssh: a full disk is told once, and what then fits is taken") {
  TimeLimit limit(120);
  if (!may_mount()) return;
  TestSshd sshd;
  SmallDisk disk(sshd.data(), "size=12m");
  std::unique_ptr<FileServer> server = Login(sshd).opened();
  std::unique_ptr<ServerFile> filler = made(*server, "filler");
  std::vector<std::byte> bytes(4 << 20);
  REQUIRE(filler->write(0, bytes).ok());
  std::unique_ptr<ServerFile> file = made(*server, "file");
  Error full = write_until_refused(*file);
  check_says(full, ErrorKind::kNoSpace, "file");
  CHECK(full.errno_value() == ENOSPC);
  CHECK(file->flush().ok());
  CHECK(file->write(0, Bytes(bytes).first(100)).ok());
  CHECK(file->commit().ok());
  CHECK(server->free_bytes()->value() < (1 << 20));

  filler.reset();
  CHECK(server->remove("filler").ok());
  CHECK(file->truncate(0).ok());
  CHECK(file->write(0, bytes).ok());
  CHECK(file->commit().ok());
  CHECK(file->size().value() == bytes.size());
}

TEST_CASE("ssh: a limit that is not the disk's is no space either") {
  TimeLimit limit(60);
  TestSshd sshd;
  write_file(sshd.folder() / "limited",
             "#!/bin/sh\ntrap '' XFSZ\nulimit -f 2000\nexec /usr/lib/openssh/sftp-server\n");
  sshd.restart({"Subsystem sftp /bin/sh " + (sshd.folder() / "limited")});
  std::unique_ptr<FileServer> server = Login(sshd).opened();
  std::unique_ptr<ServerFile> file = made(*server, "file");
  Error error = write_until_refused(*file);
  check_says(error, ErrorKind::kNoSpace, "file");
  CHECK(error.errno_value() == EDQUOT);
}

TEST_CASE("ssh: a place where nothing can be written") {
  TimeLimit limit(120);
  if (!may_mount()) return;
  TestSshd sshd;
  Login login(sshd);
  login.address.directory = sshd.data();
  {
    SmallDisk disk(sshd.data(), "size=1m");
    std::unique_ptr<FileServer> server = login.opened();
    disk.make_read_only();
    CHECK(server->open("f", Open::kCreate).error().errno_value() == EROFS);
    CHECK(server->make_directory("d").error().errno_value() == EROFS);
    CHECK(server->look("f")->kind == ServerEntry::Kind::kNothing);
  }
  sshd.restart({"Subsystem sftp /usr/lib/openssh/sftp-server -R"});
  std::unique_ptr<FileServer> server = login.opened();
  CHECK(server->open("f", Open::kCreate).error().errno_value() == EACCES);
  CHECK(server->make_directory("d").error().errno_value() == EACCES);
  write_file(sshd.data() + "/file", "");
  login.address.directory = sshd.data() + "/file";
  CHECK_FALSE(is_lost(login.refused()));
}

TEST_CASE("ssh: servers that can less") {
  TimeLimit limit(300);
  TestSshd sshd(
      {"Subsystem sftp /usr/lib/openssh/sftp-server -P "
       "fsync,posix-rename,statvfs,fstatvfs,limits,hardlink"});
  std::unique_ptr<FileServer> server = Login(sshd).opened();
  CHECK_FALSE(server->promises().durable);
  CHECK_FALSE(server->promises().replaces_safely);
  CHECK_FALSE(server->free_bytes()->has_value());
  check_server_contract(*server);
}

TEST_CASE("ssh: one cipher, key exchange and host key after the other, with new keys often") {
  TimeLimit limit(300);
  for (std::vector<std::string> lines :
       {std::vector<std::string>{"Ciphers aes256-gcm@openssh.com"},
        {"Ciphers aes128-gcm@openssh.com", "KexAlgorithms ecdh-sha2-nistp256"},
        {"Ciphers chacha20-poly1305@openssh.com", "KexAlgorithms ecdh-sha2-nistp521"},
        {"Ciphers aes256-gcm@openssh.com", "KexAlgorithms diffie-hellman-group16-sha512"}}) {
    CAPTURE(lines[0]);
    lines.emplace_back("RekeyLimit 1M");
    TestSshd sshd(lines);
    std::unique_ptr<FileServer> server = Login(sshd).opened();
    check_server_bulk(*server);
    check_server_content(*server);
  }
}

TEST_CASE("ssh: a server that has none of our ciphers, or no SFTP") {
  TimeLimit limit(120);
  TestSshd sshd({"Ciphers aes128-ctr"});
  Login login(sshd);
  check_says(login.refused(), ErrorKind::kIo, "none of the ciphers");
  sshd.restart({"Subsystem other /bin/false"});
  check_says(login.refused(), ErrorKind::kIo, "has no SFTP");
  write_file(sshd.folder() / "chatty", "echo hello hello hello\nsleep 5\n");
  sshd.restart({"Subsystem sftp /bin/sh " + (sshd.folder() / "chatty")});
  check_says(login.refused(), ErrorKind::kIo, "no valid SFTP");
  sshd.restart({"Subsystem sftp /bin/false"});
  check_says(login.refused(), ErrorKind::kLost, "broke");
}

TEST_CASE("ssh: over IPv6") {
  TimeLimit limit(60);
  if (::access("/proc/net/if_inet6", F_OK) != 0) {
    MESSAGE("not tried: this machine has no IPv6");
    return;
  }
  TestSshd sshd({"ListenAddress ::1"});
  Login login(sshd);
  login.address.host = "::1";
  CHECK(login.opened()->display().starts_with("ssh://root@[::1]:"));
}

TEST_CASE("ssh: several connections over a long way, and one that breaks") {
  TimeLimit limit(300);
  TestSshd sshd;
  ServerProcess relay("relay", {"--to", std::to_string(sshd.port()), "--delay", "10"});
  Login login(sshd);
  login.address.port = relay.port();
  login.options.known_hosts_file = sshd.known_hosts_any();
  std::unique_ptr<FileServer> server = login.opened();
  check_server_bulk(*server);
  // On a busy machine some of them take longer than all of that.
  CHECK(static_cast<SshServer&>(*server).connections() > 1);
  check_server_content(*server);
  check_server_names(*server);
  check_server_handles(*server);

  std::unique_ptr<ServerFile> file = made(*server, "f");
  std::thread killer([&] {
    ::usleep(300'000);
    relay.kill();
  });
  CHECK(write_until_refused(*file).kind() == ErrorKind::kLost);
  killer.join();
  check_all_lost(*server, *file);
}
