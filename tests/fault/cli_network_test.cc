// The executable and real servers: what it saves there, and what it does when a server cannot take
// the dump.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/nfs_server.h"
#include "tests/unit/support/ssh_server.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

using Words = std::vector<std::string>;

// Where a capture goes, over the network, and where that is on this machine.
struct Place {
  std::string target;
  std::string folder;
  Words options;

  [[nodiscard]] std::string file(const std::string& name) const {
    return folder + "/" + kSmallName + "/" + name;
  }
};

Place ssh_place(const TestSshd& server, const std::string& folder) {
  return {.target = "ssh://root@127.0.0.1:" + std::to_string(server.port()) + folder,
          .folder = folder,
          .options = {"--ssh-key", server.key(), "--ssh-known-hosts", server.known_hosts()}};
}

Place ssh_place(const TestSshd& server) { return ssh_place(server, server.data() + "/dumps"); }

Place nfs_place(const TestNfs& server, const char* version, const std::string& folder,
                const std::string& more = "") {
  return {.target = "nfs://127.0.0.1:" + std::to_string(server.port()) + "/export/dumps?version=" +
                    version + "&mountport=" + std::to_string(server.mount_port()) + more,
          .folder = folder + "/dumps",
          .options = {}};
}

// ganesha exports no overlay, which the folder for temporary files may be.
struct Export {
  explicit Export(const std::string& options) : disk(folder.path(), options) {}

  [[nodiscard]] Words of(Words more = {}) const {
    more.insert(more.end(), {"--export", folder.path()});
    return more;
  }

  TempDir folder;
  SmallDisk disk;
};

struct Stage {
  explicit Stage(uint64_t mib = 3) { large_crash(mib).write_to(dir / "input"); }

  [[nodiscard]] Outcome capture(const Words& targets, const Words& options,
                                int limit_ms = 120'000) const {
    Words words = {"capture", "-d1", "--source", dir / "input"};
    words.insert(words.end(), targets.begin(), targets.end());
    words.insert(words.end(), options.begin(), options.end());
    Outcome outcome = run(dumpwright_arguments(words), limit_ms);
    CHECK_FALSE(outcome.timed_out);
    return outcome;
  }
  // The dump that goes to a directory.
  [[nodiscard]] std::string expected(const Words& options, const std::string& file) const {
    std::filesystem::remove_all(dir / "local");
    REQUIRE(capture({dir / "local"}, options).status == 0);
    return read_file(dir / "local/" + kSmallName + "/" + file);
  }
  // The next target has the whole dump, and says of `place` what is in its report.
  void check_next_target(const Place& place, const Words& options, const std::string& why) const {
    std::string next = dir / "next";
    Outcome outcome = capture({place.target, next}, options);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    std::string report = read_file(next + "/" + kSmallName + "/vmcore.json");
    CHECK(contains(report, "\"state\": \"complete\""));
    CHECK(contains(report, "\"failed_targets\": [{\"target\": \"" + place.target));
    CHECK_MESSAGE(contains(report, why), report);
    CHECK(dumpwright({"verify", next + "/" + kSmallName}).status == 0);
    std::filesystem::remove_all(next);
  }
  // Trying again does not help, so it is not done.
  void check_refused_at_once(const Place& place, const std::string& why) const {
    Outcome alone = capture({place.target}, place.options);
    CHECK(alone.status == 1);
    CHECK_MESSAGE(contains(alone.err, why), alone.err);
    CHECK_FALSE(contains(alone.err, "trying again"));
    check_next_target(place, place.options, why);
    CHECK(tree_of(place.folder).empty());
  }

  TempDir dir;
};

struct Format {
  const char* format;
  const char* compress;
  const char* file;
};
constexpr Format kFormats[] = {{"kdump", "zstd", "vmcore"},
                               {"kdump", "none", "vmcore"},
                               {"stream", "zstd", "vmcore.zst"},
                               {"stream", "lz4", "vmcore.lz4"},
                               {"elf", "none", "vmcore.elf"}};

void check_every_format(const Stage& stage, const Place& place) {
  for (const Format& format : kFormats) {
    CAPTURE(place.target);
    CAPTURE(std::string(format.file));
    Words options = {"--format", format.format, "--compress", format.compress};
    std::string expected = stage.expected(options, format.file);
    options.insert(options.end(), place.options.begin(), place.options.end());
    Outcome outcome = stage.capture({place.target}, options);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK((read_file(place.file(format.file)) == expected));
    CHECK(dumpwright({"verify", place.folder + "/" + kSmallName}).status == 0);
    CHECK(contains(read_file(place.file("vmcore.json")), "\"state\": \"complete\""));
    Words tree = tree_of(place.folder);
    Words whole = {kSmallName};
    for (const char* file : {format.file, "vmcore.json", "vmcore.sums"})
      whole.push_back(std::string(kSmallName) + "/" + file);
    std::ranges::sort(whole);
    CHECK(tree == whole);
    Outcome again = stage.capture({place.target}, options);
    CHECK(again.status == 0);
    CHECK(contains(again.err, "holds this crash already"));
    CHECK(tree_of(place.folder) == tree);
    std::filesystem::remove_all(place.folder + "/" + kSmallName);
  }
}

// Takes connections, as the kernel does for it, and says nothing.
class SilentServer {
 public:
  SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(fd_.get(), any, size) == 0);
    REQUIRE(::listen(fd_.get(), 64) == 0);
    REQUIRE(::getsockname(fd_.get(), any, &size) == 0);
    port_ = std::to_string(ntohs(address.sin_port));
  }
  [[nodiscard]] const std::string& port() const { return port_; }

 private:
  Fd fd_;
  std::string port_;
};

void check_full(const Stage& stage, const Place& place, const std::string& why) {
  Words options = {"--compress", "none"};
  options.insert(options.end(), place.options.begin(), place.options.end());
  Outcome outcome = stage.capture({place.target}, options);
  CHECK_MESSAGE(outcome.status == 3, outcome.err);
  CHECK_MESSAGE(contains(outcome.err, why), outcome.err);
  CHECK(dumpwright({"verify", place.folder + "/" + kSmallName}).status == 3);
  check_dump(place.file("vmcore.incomplete"), known_pages(large_crash(24)), false);
  std::filesystem::remove_all(place.folder + "/" + kSmallName);
  stage.check_next_target(place, options, why);
}

constexpr const char* kDiskFull = "No space left on device";
constexpr const char* kQuotaFull = "uota exceeded";  // glibc: Disk quota; musl: Quota

// Takes 8 MiB, with room for more.
struct QuotaDisk : LoopDisk {
  QuotaDisk() : LoopDisk("btrfs", 300) {
    must_run({"btrfs", "quota", "enable", path()});
    must_run({"btrfs", "qgroup", "limit", "8M", path()});
  }
};

}  // namespace

TEST_CASE("network: every format over SSH, the same bytes as on a disk; again: nothing to do") {
  TestSshd server;
  check_every_format(Stage(), ssh_place(server));
}

TEST_CASE("network: every format over NFS, the same bytes as on a disk; again: nothing to do") {
  if (!may_mount()) return;
  Export data("size=64m");
  TestNfs server(data.of());
  for (const char* version : {"3", "4"})
    check_every_format(Stage(), nfs_place(server, version, data.folder.path()));
}

TEST_CASE("network: a full disk on the server: what landed opens, and the next target is used") {
  if (!may_mount()) return;
  Stage stage(24);
  Export data("size=8m");
  {
    TestSshd server;
    check_full(stage, ssh_place(server, data.folder / "ssh"), kDiskFull);
  }
  // What it has open takes room, even if it was removed: each has a disk of its own.
  for (const char* version : {"3", "4"}) {
    CAPTURE(version);
    Export exported("size=8m");
    TestNfs server(exported.of());
    check_full(stage, nfs_place(server, version, exported.folder.path()), kDiskFull);
  }
}

TEST_CASE("network: a quota on the server: what landed opens, and the next target is used") {
  if (!may_mount()) return;
  Stage stage(24);
  {
    QuotaDisk disk;
    TestSshd server;
    check_full(stage, ssh_place(server, disk.path() + "/ssh"), kQuotaFull);
  }
  for (const char* version : {"3", "4"}) {
    CAPTURE(version);
    QuotaDisk disk;
    TestNfs server({"--export", disk.path()});
    check_full(stage, nfs_place(server, version, disk.path()), kQuotaFull);
  }
}

TEST_CASE("network: an export that cannot be written to, or not by this user") {
  if (!may_mount()) return;
  Stage stage;
  Export data("size=8m");
  std::filesystem::create_directory(data.folder / "dumps");
  TestNfs server(data.of({"--read-only"}));
  for (const char* version : {"3", "4"}) {
    CAPTURE(version);
    stage.check_refused_at_once(nfs_place(server, version, data.folder.path()), "Read-only");
  }
  server.restart(data.of());
  for (const char* version : {"3", "4"}) {
    CAPTURE(version);
    stage.check_refused_at_once(
        nfs_place(server, version, data.folder.path(), "&uid=12345&gid=12345"),
        "Permission denied");
  }
}

TEST_CASE("network: a user that the server does not know, or a key") {
  Stage stage;
  TestSshd server;
  Place place = ssh_place(server);
  std::filesystem::create_directory(place.folder);
  Place stranger = place;
  stranger.target.replace(stranger.target.find("root@"), 5, "nobody-of-that-name@");
  stage.check_refused_at_once(stranger, "does not let this user in");
  write_file(server.folder() / "authorized_keys", "");
  stage.check_refused_at_once(place, "does not let this user in");
}

TEST_CASE("network: an unknown and a changed host key: nothing is written, the next is used") {
  Stage stage;
  TestSshd server;
  Place place = ssh_place(server);
  std::filesystem::create_directory(place.folder);
  TempDir other;
  write_file(other / "unknown", "");
  place.options[3] = other / "unknown";
  stage.check_refused_at_once(place, "SHA256:");
  TestSshd second;
  std::string line = read_file(second.known_hosts_any());
  write_file(other / "changed", line);
  place.options[3] = other / "changed";
  stage.check_refused_at_once(place, "SHA256:");
}

TEST_CASE("network: a name that does not resolve: the next target is used") {
  Stage stage;
  TestSshd server;
  Words options = ssh_place(server).options;
  options.insert(options.end(), {"--retry-for", "2", "--connect-timeout", "2"});
  for (const char* target :
       {"ssh://root@no-such-host.invalid/dumps", "nfs://no-such-host.invalid/dumps"}) {
    Place place{.target = target, .folder = {}, .options = {}};
    Outcome alone = stage.capture({place.target}, options);
    CHECK(alone.status == 1);
    CHECK_MESSAGE(contains(alone.err, "no-such-host.invalid"), alone.err);
    stage.check_next_target(place, options, "no-such-host.invalid");
  }
}

TEST_CASE("network: a server that takes connections and says nothing ends within its limits") {
  Stage stage;
  TestSshd server;
  SilentServer silent;
  Words options = ssh_place(server).options;
  options.insert(options.end(),
                 {"--retry-for", "2", "--connect-timeout", "1", "--reply-timeout", "1"});
  for (const std::string& target :
       {"ssh://root@127.0.0.1:" + silent.port() + "/dumps",
        "nfs://127.0.0.1:" + silent.port() + "/dumps?version=4",
        "nfs://127.0.0.1:" + silent.port() + "/dumps?version=3&mountport=" + silent.port()}) {
    CAPTURE(target);
    Place place{.target = target, .folder = {}, .options = {}};
    std::string next = stage.dir / "silent-next";
    Outcome outcome = stage.capture({place.target, next}, options, 30'000);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK_MESSAGE(contains(outcome.err, "trying again"), outcome.err);
    CHECK_MESSAGE(contains(outcome.err, "nothing came of trying for 2 s"), outcome.err);
    std::filesystem::remove_all(next);
  }
}

TEST_CASE("network: every target hears of the crash first, and a silent one does not hold it up") {
  Stage stage;
  TestSshd server;
  SilentServer silent;
  Place good = ssh_place(server);
  Words options = good.options;
  options.insert(options.end(), {"--retry-for", "0", "--connect-timeout", "5"});
  std::string last = stage.dir / "last";
  Outcome outcome = stage.capture(
      {"ssh://root@127.0.0.1:" + silent.port() + "/dumps", good.target, last}, options, 60'000);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(contains(outcome.err, "no report to ssh://root@127.0.0.1:" + silent.port()));
  CHECK(dumpwright({"verify", good.folder + "/" + kSmallName}).status == 0);
  std::string report = read_file(last + "/" + kSmallName + "/vmcore.json");
  CHECK(contains(report, "\"state\": \"saved elsewhere\""));
  CHECK(contains(report, "\"saved_to\": \"" + good.target));
}

// Sanitizers keep shadows of everything.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_CASE("network: anonymous memory stays within the budget and 12 MiB for what is on its way") {
  if (!may_mount()) return;
  Stage stage(64);
  Export data("size=512m");
  TestSshd sshd;
  TestNfs nfs(data.of());
  for (unsigned threads : {1U, 4U}) {
    for (const Place& place :
         {ssh_place(sshd, data.folder / "ssh"), nfs_place(nfs, "3", data.folder.path()),
          nfs_place(nfs, "4", data.folder.path())}) {
      CAPTURE(threads);
      CAPTURE(place.target);
      Words options = place.options;
      options.insert(options.end(), {"--threads", std::to_string(threads)});
      Outcome outcome = stage.capture({place.target}, options);
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      CHECK(outcome.anonymous_kib > 4096);
      CHECK(outcome.anonymous_kib <= (8 + 12) * 1024 + threads * 2560);
      std::filesystem::remove_all(place.folder);
    }
  }
}

#endif
