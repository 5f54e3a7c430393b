#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/support/process.h"
#include "tests/unit/support/temp_dir.h"

using namespace dw;

namespace {

struct Answer {
  int status;
  std::vector<std::string> lines;
};

// `lines` without the program's and the file's name.
Answer check(const std::string& config, std::vector<std::string> options = {}) {
  test::TempDir folder;
  std::string path = folder / "dumpwright.conf";
  test::write_file(path, config);
  std::vector<std::string> arguments{"check-config"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(path);
  test::Outcome outcome = test::dumpwright(arguments);
  CHECK(outcome.out.empty());
  Answer answer{outcome.status, {}};
  const std::string start = "dumpwright: " + path + ":";
  for (const std::string& line : outcome.lines()) {
    CHECK(line.starts_with(start));
    answer.lines.push_back(line.substr(std::min(start.size(), line.size())));
  }
  return answer;
}

void make_key(const std::string& file, const char* passphrase = "") {
  test::Outcome made = test::run({"/usr/bin/env", "ssh-keygen", "-q", "-t", "ed25519", "-C", "test",
                                  "-N", passphrase, "-f", file});
  REQUIRE_MESSAGE(made.status == 0, made.err);
}

std::string files_in(const test::TempDir& folder) {
  return "ssh_key " + (folder / "key") + "\nssh_known_hosts " + (folder / "known") + "\n";
}

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("check-config: a good file, an empty one") {
  CHECK(check("# here\ntarget /var/crash\ndump_level 1\n").status == 0);
  CHECK(check("").status == 0);
  for (const char* config : {"", "# target /x\nthreads 1\n"}) {
    Answer answer = check(config, {"--initrd"});
    CHECK(answer.status == 2);
    REQUIRE(answer.lines.size() == 1);
    CHECK(answer.lines[0].starts_with(" no target is set; add"));
  }
}

TEST_CASE("check-config: where more problems begin than are told") {
  std::string config = "target /x\n";
  for (int i = 0; i < 100; i++) config += "odd\n";
  Answer answer = check(config);
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 33);
  CHECK(answer.lines[31].starts_with("33: odd: is not"));
  CHECK(answer.lines[32] == "34: more problems begin here, which are not told");
}

TEST_CASE("check-config: every problem with its line") {
  Answer answer = check("target /x\nfinal_action reboto\n\npath /var/crash # kdump\nthreads 0\n");
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 3);
  CHECK(answer.lines[0].starts_with("2: "));
  CHECK(has(answer.lines[0], "reboot, poweroff or halt"));
  CHECK(answer.lines[1].starts_with("4: "));
  CHECK(has(answer.lines[1], "is not a known key"));
  CHECK(answer.lines[2].starts_with("5: "));
}

TEST_CASE(
    "check-config: a format and a compression that do not go together, or not with a target") {
  CHECK(check("format stream\ncompress lz4\ntarget /x\n").status == 0);
  CHECK(check("format flattened\ntarget -\n").status == 0);
  for (const char* config : {"compress lz4\n", "format stream\ncompress zlib\ntarget /x\n",
                             "format flattened\ntarget /x\n", "format elf\ncompress zstd\n",
                             "format kdump\ntarget -\n"}) {
    Answer answer = check(config);
    CHECK(answer.status == 2);
    REQUIRE(answer.lines.size() == 1);
    CHECK(has(answer.lines[0], "; "));
  }
}

TEST_CASE("check-config: the line of what does not go together") {
  auto line = [](const std::string& config) {
    Answer answer = check("target raw:/dev/vda9\n" + config);
    REQUIRE(answer.lines.size() == 1);
    return answer.lines[0].substr(0, answer.lines[0].find(" this"));
  };
  CHECK(line("compress zstd\nformat kdump\n\ncompress lz4\n") == "5: lz4:");
  CHECK(line("compress lz4\n") == "2: lz4:");
  CHECK(line("compress none\nformat flattened\n").starts_with("3: flattened: the target"));
  CHECK(line("format flattened\nformat elf\ncompress zlib\n") == "4: zlib:");
}

TEST_CASE("check-config: for the initrd every target can be mounted there") {
  const char* config = "target dev:UUID=ab-cd:/crash\ntarget /proc/x\ntarget dev:nonsense\n";
  CHECK(check(config).status == 0);
  Answer answer = check(config, {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 2);
  CHECK(answer.lines[0].starts_with("2: /proc/x (proc): lies on a file system"));
  CHECK(answer.lines[1].starts_with("3: dev:nonsense"));
  CHECK(check("format stream\ntarget -\n", {"--initrd"}).status == 2);
}

TEST_CASE("check-config: for the initrd a device that is written in two ways is the same") {
  Answer answer = check(
      "target dev:UUID=AB:/x\ntarget dev:UUID=AB:/y\ntarget dev:/dev/disk/by-uuid/ab:/x\n"
      "target dev:UUID=ab:/y/.\n",
      {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 2);
  CHECK(
      answer.lines[0].starts_with("3: dev:/dev/disk/by-uuid/ab:/x: is the same as a target above"));
  CHECK(answer.lines[1].starts_with("4: dev:UUID=ab:/y/.: is the same as a target above"));
}

TEST_CASE("check-config: what an initrd is to have") {
  test::TempDir folder;
  std::string path = folder / "dumpwright.conf";
  const std::string text =
      "# here\n\ntarget  dev:UUID=AB:/x # first\n  odd line\ndump_level 1\ntarget raw:/dev/vdb";
  test::write_file(path, text);
  test::Outcome outcome = test::dumpwright({"check-config", "--packed", path});
  CHECK(outcome.status == 0);
  CHECK(outcome.out == text + "\n");
  test::write_file(path, text + "\ntarget /proc/x\n");
  outcome = test::dumpwright({"check-config", "--packed", path});
  CHECK(outcome.status == 2);
  CHECK(outcome.err.find(":7: /proc/x (proc): lies on") != std::string::npos);
}

TEST_CASE("check-config: for the initrd a disk with what is left of a RAID is refused") {
  // Devices are below /dev.
  const std::string name = "shm/dumpwright-raid-" + std::to_string(::getpid());
  const std::string config =
      "target raw:/dev/" + name + "\ntarget dev:/dev/" + name + ":/x\ntarget raw:/dev/no-such\n";
  std::string image(64 * 1024, '\0');
  test::write_file("/dev/" + name, image);
  CHECK(check(config, {"--initrd"}).status == 0);
  image.replace(image.size() - 512, 4, "\xDE\x11\xDE\x11");
  test::write_file("/dev/" + name, image);
  Answer answer = check(config, {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 2);
  CHECK(answer.lines[0].starts_with("1: /dev/" + name + ": is a member of a RAID"));
  CHECK(has(answer.lines[0], "if the RAID is gone, mdadm --zero-superblock"));
  CHECK(answer.lines[1].starts_with("2: "));
  CHECK(check("target raw:/dev/" + name + "?force=yes\n", {"--initrd"}).status == 0);
  CHECK(check(config).status == 0);
  std::filesystem::remove("/dev/" + name);
}

TEST_CASE("check-config: addresses of targets, and what servers need") {
  const std::string ssh = "target ssh://kdump@host/var/crash\n";
  CHECK(check(ssh + "ssh_key /etc/key\nssh_known_hosts /etc/known\n").status == 0);
  CHECK(check("target nfs://host/export?version=4\ntarget raw:/dev/vdb\n").status == 0);
  struct Case {
    std::string config;
    const char* says;
  };
  for (const Case& wrong :
       {Case{ssh, "ssh_key"}, Case{ssh + "ssh_key /etc/key\n", "ssh_known_hosts"},
        Case{"target ssh://host/dir\n", "no user"}, Case{"target nfs://host\n", "no directory"},
        Case{"target host:/export\n", "not known"}, Case{"target raw:vdb\n", "raw:/dev/NAME"}}) {
    CAPTURE(wrong.config);
    Answer answer = check(wrong.config);
    CHECK(answer.status == 2);
    REQUIRE(answer.lines.size() == 1);
    CHECK(has(answer.lines[0], wrong.says));
  }
}

TEST_CASE("check-config: for the initrd a target may be a partition or on a server") {
  const char* config =
      "target raw:/dev/vdb1\ntarget nfs://192.0.2.1/export/crash?version=3\n"
      "target ssh://crash@server.example:2222/var/crash\n";
  test::TempDir folder;
  make_key(folder / "key");
  test::write_file(folder / "known",
                   "[server.example]:2222 " + test::read_file(folder / "key.pub"));
  Answer answer = check(config + files_in(folder), {"--initrd"});
  CHECK(answer.status == 0);
  answer = check(config, {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 1);
  CHECK(has(answer.lines[0], "set ssh_key"));
}

TEST_CASE("check-config: for the initrd the files that SSH needs have to be there, and fit") {
  const std::string target = "target dev:LABEL=a:/b\ntarget ssh://crash@server.example/var/crash\n";
  test::TempDir folder;
  std::string key = folder / "key";
  auto refused = [&](uint64_t line, const char* says, const std::string& files) {
    CAPTURE(files);
    Answer answer = check(target + files, {"--initrd"});
    CHECK(answer.status == 2);
    REQUIRE(!answer.lines.empty());
    INFO(answer.lines[0]);
    CHECK(answer.lines[0].starts_with(std::to_string(line) + ": "));
    CHECK(has(answer.lines[0], says));
    CHECK(check(target + files).status == 0);
  };
  refused(3, "No such file", files_in(folder));
  test::write_file(key, "");
  CHECK(::chmod(key.c_str(), 0600) == 0);
  refused(3, "not a private SSH key", files_in(folder));
  std::filesystem::remove(key);
  make_key(key);
  std::string public_key = test::read_file(key + ".pub");
  test::write_file(folder / "known", "server.example " + public_key);
  CHECK(check(target + files_in(folder), {"--initrd"}).status == 0);
  make_key(folder / "locked", "secret");
  const std::string known = "ssh_known_hosts " + (folder / "known") + "\n";
  refused(3, "has a passphrase", "ssh_key " + (folder / "locked") + "\n" + known);
  CHECK(::chmod((key + ".pub").c_str(), 0600) == 0);
  refused(3, "not a private SSH key", "ssh_key " + key + ".pub\n" + known);
  refused(4, "No such file", "ssh_key " + key + "\nssh_known_hosts /no/such\n");
  refused(4, "Is a directory", "ssh_key " + key + "\nssh_known_hosts /etc\n");
  refused(4, "absolute path", "ssh_key " + key + "\nssh_known_hosts known\n");
  refused(3, "'..'", "ssh_key " + folder.path() + "/../x\n" + known);
  CHECK(::chmod(key.c_str(), 0640) == 0);
  refused(3, "others than the owner", files_in(folder));
  CHECK(::chmod(key.c_str(), 0600) == 0);
  for (mode_t mode : {0664, 0646}) {
    CHECK(::chmod((folder / "known").c_str(), mode) == 0);
    refused(4, "may write to it", files_in(folder));
  }
  CHECK(::chmod((folder / "known").c_str(), 0644) == 0);
  CHECK(check(target + files_in(folder), {"--initrd"}).status == 0);
  if (::geteuid() == 0) {
    CHECK(::chown(key.c_str(), 1, 0) == 0);
    refused(3, "belongs to somebody else", files_in(folder));
    CHECK(::chown(key.c_str(), 0, 0) == 0);
    CHECK(::chown((folder / "known").c_str(), 1, 0) == 0);
    refused(4, "belongs to somebody else", files_in(folder));
  }
  // Without a target that needs them, they are not looked at.
  CHECK(check("target raw:/dev/vdb\nssh_key /no/such\n", {"--initrd"}).status == 0);
}

TEST_CASE("check-config: nothing waits for a pipe") {
  test::TempDir folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  make_key(folder / "key");
  test::write_file(folder / "known", "host " + test::read_file(folder / "key.pub"));
  test::Outcome outcome = test::dumpwright({"check-config", pipe});
  CHECK(outcome.status == 1);
  CHECK(has(outcome.err, "is no regular file"));
  const std::string target = "target ssh://u@host/x\n";
  Answer answer = check(
      target + "ssh_key " + pipe + "\nssh_known_hosts " + (folder / "known") + "\n", {"--initrd"});
  REQUIRE(answer.lines.size() == 1);
  CHECK(answer.lines[0].starts_with("2: " + pipe + ": this is not a private SSH key"));
  answer = check(target + "ssh_key " + (folder / "key") + "\nssh_known_hosts " + pipe + "\n",
                 {"--initrd"});
  REQUIRE(!answer.lines.empty());
  CHECK(has(answer.lines.back(), "is no regular file"));
}

TEST_CASE("check-config: for the initrd each SSH server has to be a known host") {
  test::TempDir folder;
  make_key(folder / "key");
  std::string public_key = test::read_file(folder / "key.pub");
  auto check_known = [&](const std::string& hosts, const std::string& known) {
    test::write_file(folder / "known", known);
    return check("target nfs://other.example/x\n" + hosts + files_in(folder), {"--initrd"});
  };
  const std::string hosts =
      "target ssh://u@Server.example/x\ntarget ssh://u@[2001:db8::1]:2222/x\n";
  const std::string first = "server.example " + public_key;
  const std::string second = "[2001:db8::1]:2222 " + public_key;
  CHECK(check_known(hosts, "# both\n\n" + first + second).status == 0);
  CHECK(check_known(hosts, "server.example,[2001:db8::1]:2222 " + public_key).status == 0);
  CHECK(check_known(hosts, "* " + public_key).status == 0);
  auto refused = [&](const std::string& known, size_t lines, const char* line, const char* says) {
    CAPTURE(known);
    Answer answer = check_known(hosts, known);
    CHECK(answer.status == 2);
    REQUIRE(answer.lines.size() == lines);
    INFO(answer.lines[0]);
    CHECK(answer.lines[0].starts_with(line));
    CHECK(has(answer.lines[0], says));
  };
  refused("", 2, "2: ", "has no key in ssh_known_hosts");
  refused(first, 1, "3: ", "ssh://u@[2001:db8::1]:2222/x");
  // Another port is another server.
  refused(first + "2001:db8::1 " + public_key, 1, "3: ", "has no key");
  refused(second, 1, "2: ", "ssh://u@Server.example/x");
  refused("@cert-authority " + first + second, 1, "2: ", "has no key");
  refused(first + second + "server.example ssh-ed25519 AAAA\n", 1, "2: ", "known:3: this is not a");
  refused("@revoked " + first, 1, "5: ", "@revoked");

  test::write_file(folder / "known", first + second);
  REQUIRE(test::run({"/usr/bin/env", "ssh-keygen", "-q", "-H", "-f", folder / "known"}).status ==
          0);
  std::string hashed = test::read_file(folder / "known");
  CHECK(hashed.starts_with("|1|"));
  CHECK(check_known(hosts, hashed).status == 0);
  CHECK(check_known("target ssh://u@third.example/x\n", hashed).status == 2);
}

TEST_CASE("check-config: a target that stands there twice") {
  for (const char* again : {"/a", "/a/", "file:/a", "//./a"}) {
    CAPTURE(again);
    Answer answer = check(std::string("target /a\ntarget /b\n\ntarget ") + again + " # again\n");
    CHECK(answer.status == 2);
    REQUIRE(answer.lines.size() == 1);
    CHECK(answer.lines[0].starts_with(std::string("4: target ") + again + ": stands there"));
  }
}

TEST_CASE("check-config: what a file gives a key, for scripts") {
  test::TempDir folder;
  std::string path = folder / "dumpwright.conf";
  test::write_file(path,
                   "target /a # first\ninitrd dracut\ntarget ssh://u@h/b\ninitrd odd\nthreads 3\n"
                   "threads 4\nkernel_arguments  irqpoll  x=\"a b\"\n");
  auto get = [&](const char* key) {
    return test::dumpwright({"check-config", "--get", key, path}).out;
  };
  CHECK(get("target") == "/a\nssh://u@h/b\n");
  CHECK(get("initrd") == "dracut\n");
  CHECK(get("threads") == "4\n");
  CHECK(get("kernel_arguments") == "irqpoll  x=\"a b\"\n");
  CHECK(get("hostname").empty());
  CHECK(test::dumpwright({"check-config", "--get", "odd", path}).status == 2);
  CHECK(test::dumpwright({"check-config", path, "--get"}).status == 2);
}

TEST_CASE("check-config: the devices and the servers of targets, for scripts") {
  test::TempDir folder;
  std::string path = folder / "dumpwright.conf";
  test::write_file(path,
                   "target dev:UUID=AB-cd:/x\ntarget dev:LABEL=two words:/x y\n"
                   "target dev:/dev/mapper/a:/x # here\ntarget raw:/dev/vdb?force=yes\n"
                   "target dev:/dev/disk/by-partuuid/12:/x\ntarget /var/crash\n"
                   "target nfs://server.example:2049/x?version=3\ntarget odd:nothing\n"
                   "target ssh://u@[2001:db8::1]:22/x\ntarget ssh://u@server.example/x\n");
  auto print = [&](const char* option) {
    return test::dumpwright({"check-config", option, path}).out;
  };
  CHECK(print("--devices") ==
        "/dev/disk/by-uuid/ab-cd dev:UUID=AB-cd:/x\n"
        "/dev/disk/by-label/two\\x20words dev:LABEL=two words:/x y\n"
        "/dev/mapper/a dev:/dev/mapper/a:/x\n/dev/vdb raw:/dev/vdb?force=yes\n"
        "/dev/disk/by-partuuid/12 dev:/dev/disk/by-partuuid/12:/x\n");
  CHECK(print("--hosts") == "server.example\n2001:db8::1\n");
}

TEST_CASE("check-config: wrong arguments") {
  CHECK(test::dumpwright({"check-config"}).status == 2);
  CHECK(test::dumpwright({"check-config", "--odd", "/x"}).status == 2);
  CHECK(test::dumpwright({"check-config", "/x", "/y"}).status == 2);
  CHECK(test::dumpwright({"check-config", "/no/such/file"}).status == 1);
  CHECK(test::dumpwright({"check-config", "--help"}).status == 0);
}
