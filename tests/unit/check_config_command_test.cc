#include <doctest/doctest.h>
#include <sys/stat.h>

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

// A key that is a list of known hosts too.
std::string files_in(const test::TempDir& folder) {
  return "ssh_key " + (folder / "key") + "\nssh_known_hosts " + (folder / "key") + "\n";
}

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("check-config: a good file, an empty one") {
  CHECK(check("# here\ntarget /var/crash\ndump_level 1\n").status == 0);
  CHECK(check("").status == 0);
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

TEST_CASE("check-config: for the initrd every target is a device") {
  const char* config = "target dev:UUID=ab-cd:/crash\ntarget /var/crash\ntarget dev:nonsense\n";
  CHECK(check(config).status == 0);
  Answer answer = check(config, {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 2);
  CHECK(answer.lines[0].starts_with("2: /var/crash"));
  CHECK(has(answer.lines[0], "dev:UUID="));
  CHECK(answer.lines[1].starts_with("3: dev:nonsense"));
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
  test::write_file(folder / "key", "x");
  CHECK(::chmod((folder / "key").c_str(), 0600) == 0);
  Answer answer = check(config + files_in(folder), {"--initrd"});
  CHECK(answer.status == 0);
  answer = check(config, {"--initrd"});
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 1);
  CHECK(has(answer.lines[0], "set ssh_key"));
}

TEST_CASE("check-config: for the initrd the files that SSH needs have to be there") {
  const std::string target = "target dev:LABEL=a:/b\ntarget ssh://crash@server.example/var/crash\n";
  test::TempDir folder;
  std::string key = folder / "key";
  auto refused = [&](uint64_t line, const char* says, const std::string& files) {
    CAPTURE(files);
    Answer answer = check(target + files, {"--initrd"});
    CHECK(answer.status == 2);
    REQUIRE(!answer.lines.empty());
    CHECK(answer.lines[0].starts_with(std::to_string(line) + ": "));
    CHECK(has(answer.lines[0], says));
    CHECK(check(target + files).status == 0);
  };
  refused(3, "No such file", files_in(folder));
  test::write_file(key, "");
  refused(3, "is empty", files_in(folder));
  test::write_file(key, "x");
  CHECK(::chmod(key.c_str(), 0640) == 0);
  refused(3, "may be read by others", files_in(folder));
  CHECK(::chmod(key.c_str(), 0600) == 0);
  CHECK(check(target + files_in(folder), {"--initrd"}).status == 0);
  refused(4, "No such file", "ssh_key " + key + "\nssh_known_hosts /no/such\n");
  refused(4, "is not a file", "ssh_key " + key + "\nssh_known_hosts /etc\n");
  refused(4, "absolute path", "ssh_key " + key + "\nssh_known_hosts known\n");
  refused(3, "'..'", "ssh_key " + folder.path() + "/../x\nssh_known_hosts " + key + "\n");
  // Without a target that needs them, they are not looked at.
  CHECK(check("target raw:/dev/vdb\nssh_key /no/such\n", {"--initrd"}).status == 0);
}

TEST_CASE("check-config: a target that stands there twice") {
  Answer answer = check("target /a\ntarget /b\n\ntarget /a # again\n");
  CHECK(answer.status == 2);
  REQUIRE(answer.lines.size() == 1);
  CHECK(answer.lines[0].starts_with("4: target /a: stands there already"));
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
