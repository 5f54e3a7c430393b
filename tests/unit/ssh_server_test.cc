// A directory on a real SSH server; longer trials are in tests/fault.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/fault/file_server_contract.h"
#include "tests/unit/support/process.h"
#include "tests/unit/support/ssh_login.h"
#include "tests/unit/support/time_limit.h"

using namespace dw;
using namespace dw::test;

namespace {

std::string make_key(const TestSshd& server, const std::string& name, const std::string& type,
                     const std::string& passphrase) {
  std::string path = server.folder() / name;
  REQUIRE(run({"/usr/bin/ssh-keygen", "-q", "-t", type, "-N", passphrase, "-f", path}).status == 0);
  return path;
}

}  // namespace

TEST_CASE("ssh: the contract of a server") {
  TimeLimit limit(300);
  TestSshd sshd;
  std::unique_ptr<FileServer> server = Login(sshd).opened();
  CHECK(server->promises().durable);
  CHECK(server->promises().replaces_safely);
  check_server_contract(*server);
  check_server_nameless_files(*server);
}

TEST_CASE("ssh: files and directories are the user's alone") {
  TimeLimit limit(60);
  TestSshd sshd;
  Login login(sshd);
  login.address.directory += "/made/too";
  std::unique_ptr<FileServer> server = login.opened();
  REQUIRE(server->make_directory("d").ok());
  REQUIRE(server->open("d/f", FileServer::Open::kCreate).ok());
  struct stat found {};
  REQUIRE(::stat((login.address.directory + "/d").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0700);
  REQUIRE(::stat((login.address.directory + "/d/f").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0600);
  REQUIRE(::stat(login.address.directory.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0700);

  // A link is never followed, be it to a file of ours.
  REQUIRE(::symlink("f", (login.address.directory + "/d/link").c_str()) == 0);
  CHECK(server->look("d/link")->kind == ServerEntry::Kind::kOther);
  CHECK(server->open("d/link", FileServer::Open::kRead).error().errno_value() == ELOOP);
  CHECK(server->open("d/link", FileServer::Open::kReadWrite).error().errno_value() == ELOOP);
  CHECK(server->open("d/link", FileServer::Open::kCreate).error().errno_value() == EEXIST);
}

TEST_CASE("ssh: each kind of key logs in") {
  TimeLimit limit(120);
  TestSshd sshd;
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    CAPTURE(type);
    Login login(sshd);
    login.options.key_file = make_key(sshd, std::string("key-") + type, type, "");
    std::string added = read_file(login.options.key_file + ".pub");
    write_file(sshd.folder() / "authorized_keys", added);
    CHECK(login.opened() != nullptr);
  }
}

TEST_CASE("ssh: what is wrong with a key is said") {
  TimeLimit limit(120);
  TestSshd sshd;
  Login login(sshd);
  login.options.key_file = make_key(sshd, "other", "ed25519", "");
  check_says(login.refused(), ErrorKind::kIo, "does not let this user in with this key");
  check_says(login.refused(), ErrorKind::kIo, "SHA256:");

  REQUIRE(::chmod(login.options.key_file.c_str(), 0640) == 0);
  check_says(login.refused(), ErrorKind::kUsage, "chmod 600");
  login.options.key_file = make_key(sshd, "locked", "ed25519", "secret");
  check_says(login.refused(), ErrorKind::kUsage, "passphrase");
  login.options.key_file = sshd.key() + ".pub";
  REQUIRE(::chmod(login.options.key_file.c_str(), 0600) == 0);
  check_says(login.refused(), ErrorKind::kUsage, "not a private SSH key");
  login.options.key_file = sshd.folder() / "missing";
  check_says(login.refused(), ErrorKind::kUsage, "missing");

  Login stranger(sshd);
  stranger.address.user = "nosuchuser";
  check_says(stranger.refused(), ErrorKind::kIo, "does not let this user in");
}

TEST_CASE("ssh: a host key that is not the known one is refused, with its fingerprint") {
  TimeLimit limit(120);
  TestSshd sshd;
  Login login(sshd);
  std::string fingerprint =
      run({"/usr/bin/ssh-keygen", "-l", "-f", sshd.folder() / "host_key.pub"}).out;
  fingerprint = fingerprint.substr(fingerprint.find("SHA256:"));
  fingerprint = fingerprint.substr(0, fingerprint.find(' '));

  std::string hosts = sshd.folder() / "hosts";
  login.options.known_hosts_file = hosts;
  check_says(login.refused(), ErrorKind::kUsage, "cannot read the known_hosts file");
  write_file(hosts, "");
  check_says(login.refused(), ErrorKind::kIo, "is not in known_hosts");
  check_says(login.refused(), ErrorKind::kIo, fingerprint);
  check_says(login.refused(), ErrorKind::kIo, "ssh-keyscan");

  std::string other = read_file(make_key(sshd, "changed", "ed25519", "") + ".pub");
  write_file(hosts, "[127.0.0.1]:" + std::to_string(sshd.port()) + " " + other);
  check_says(login.refused(), ErrorKind::kIo, "another than in known_hosts");
  check_says(login.refused(), ErrorKind::kIo, fingerprint);
  // The key is known, but of another machine.
  write_file(hosts, "otherhost " + read_file(sshd.folder() / "host_key.pub"));
  check_says(login.refused(), ErrorKind::kIo, "is not in known_hosts");
  write_file(hosts, read_file(sshd.known_hosts()) + "@revoked * " + other);
  check_says(login.refused(), ErrorKind::kUsage, "@revoked");
  CHECK(read_file(hosts).find("@revoked") != std::string::npos);
}

TEST_CASE("ssh: an address that leads nowhere") {
  TimeLimit limit(120);
  TestSshd sshd;
  Login login(sshd);
  login.address.host = "no-such-host.invalid";
  Error error = login.refused();
  CHECK(error.subject() == "no-such-host.invalid");

  login.address.host = "127.0.0.1";
  sshd.stop();
  check_says(login.refused(), ErrorKind::kLost, "cannot connect");
  CHECK(login.refused().errno_value() == ECONNREFUSED);
}
