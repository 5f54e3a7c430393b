#include "capture/cli/config.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

using namespace dw;

namespace {

std::string text_of(const Error& error) {
  char text[512];
  error.format(text, sizeof(text));
  return text;
}

}  // namespace

TEST_CASE("config: every key with a good value") {
  auto config = parse_config(
      "# a comment\n"
      "target dev:UUID=1234:/var/crash   # the disk\n"
      "\n"
      "  target\tssh://root@host:22/dump#1\r\n"
      "dump_level 0\nformat stream\ncompress zstd:-5\nthreads 3\nmemory_limit 64M\n"
      "retry_for 0\nstall_timeout 10\ncapture_timeout 3600\nssh_key /k\nssh_known_hosts /h\n"
      "nfs_version 4\nfinal_action poweroff\nfailure_action halt\nhostname web-1.example");
  REQUIRE(config.ok());
  REQUIRE(config->targets.size() == 2);
  CHECK(config->targets[0] == "dev:UUID=1234:/var/crash");
  CHECK(config->targets[1] == "ssh://root@host:22/dump#1");
  CHECK(config->dump_level == 0);
  CHECK(config->format == "stream");
  CHECK(config->compress == "zstd:-5");
  CHECK(config->threads == 3);
  CHECK(config->memory_limit == 64 * 1024 * 1024);
  CHECK(config->retry_for_s == 0);
  CHECK(config->stall_timeout_s == 10);
  CHECK(config->capture_timeout_s == 3600);
  CHECK(config->ssh_key == "/k");
  CHECK(config->ssh_known_hosts == "/h");
  CHECK(config->nfs_version == 4);
  CHECK(config->final_action == FinalAction::kPoweroff);
  CHECK(config->failure_action == FinalAction::kHalt);
  CHECK(config->hostname == "web-1.example");
}

TEST_CASE("config: a shell is for what failed") {
  Config config;
  CHECK(set_config(config, "failure_action", "shell").ok());
  CHECK(config.failure_action == FinalAction::kShell);
  CHECK_FALSE(set_config(config, "final_action", "shell").ok());
  CHECK_FALSE(config.final_action);
}

TEST_CASE("config: an empty text sets nothing") {
  for (const char* text : {"", "\n\n", "   ", "# only a comment", "\t# indented\n"}) {
    auto config = parse_config(text);
    REQUIRE(config.ok());
    CHECK(config->targets.empty());
    CHECK_FALSE(config->dump_level.has_value());
    CHECK_FALSE(config->final_action.has_value());
  }
}

TEST_CASE("config: a bad value is refused and changes nothing") {
  const struct {
    const char* key;
    const char* value;
  } kBad[] = {
      {"target", ""},
      {"dump_level", "32"},
      {"dump_level", "-1"},
      {"dump_level", "31x"},
      {"dump_level", " "},
      {"dump_level", "0x1f"},
      {"format", "vmcore"},
      {"compress", "gzip"},
      {"compress", "zstd:"},
      {"compress", "zstd:23"},
      {"compress", "zstd:0"},
      {"compress", "zstd:-51"},
      {"compress", "zstd:3 "},
      {"compress", "lz4:2"},
      {"threads", "0"},
      {"threads", "4097"},
      {"memory_limit", "0"},
      {"memory_limit", "M"},
      {"memory_limit", "10X"},
      {"retry_for", "forever"},
      {"stall_timeout", "604801"},
      {"nfs_version", "2"},
      {"capture_timeout", "1h"},
      {"final_action", "Reboot"},
      {"hostname", "a b"},
      {"hostname", "../etc"},
      {"failure_action", "bash"},
      {"final_action", "shell"},
      {"ssh_key", ""},
      {"ssh_key", "/k\x01"},
      {"memory_limit", "99999999999999999999"},
      {"threads", "18446744073709551617"},
      {"memory_limit", "18014398509481984K"},
  };
  for (const auto& bad : kBad) {
    const char* key = bad.key;
    const char* value = bad.value;
    CAPTURE(key);
    CAPTURE(value);
    Config config;
    config.dump_level = 7;
    Status status = set_config(config, key, value);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().kind() == ErrorKind::kUsage);
    CHECK(text_of(status.error()).starts_with(key));
    CHECK(config.dump_level == 7);
    CHECK(config.targets.empty());
    CHECK((config.format + config.compress + config.hostname + config.ssh_key).empty());
    CHECK_FALSE((config.threads || config.memory_limit || config.final_action));
  }
}

TEST_CASE("config: what cannot be seen in a key is told") {
  auto problem = [](std::string_view text) {
    auto config = parse_config(text);
    return config.ok() ? std::string("none") : text_of(config.error());
  };
  CHECK(problem(std::string_view("\0target /a\n", 11)) ==
        "\\x00target: is not a known key at line 1");
  CHECK(problem("\n\x1b[2Jx\x7f 1\n") == "\\x1b[2Jx\\x7f: is not a known key at line 2");
  CHECK(problem("\xef\xbb\xbftarget /a\n") ==
        "\\xef\\xbb\\xbftarget: begins with a byte order mark at line 1; remove its three bytes");
}

TEST_CASE("config: strict parsing names the line of the first problem") {
  auto config = parse_config("dump_level 31\n\nkexec_args -x\nthreads none\n");
  REQUIRE_FALSE(config.ok());
  CHECK(text_of(config.error()) == "kexec_args: is not a known key at line 3");
}

TEST_CASE("config: lenient parsing goes on and says what holds instead") {
  Config config;
  auto problems =
      apply_config(config, "dump_level 99\nnonsense\ndump_level 1\nfinal_action explode\n");
  REQUIRE(problems.size() == 3);
  CHECK(text_of(problems[0].error) == "dump_level 99: must be a number from 0 to 31 at line 1");
  CHECK(std::string(problems[0].fallback) == "31");
  CHECK(text_of(problems[1].error) == "nonsense: is not a known key at line 2");
  CHECK(problems[2].error.position() == 4);
  CHECK(config.dump_level == 1);
  CHECK_FALSE(config.final_action.has_value());
}

TEST_CASE("config: the last line of a key wins, targets add up to a limit") {
  Config config;
  std::string text = "threads 2\nthreads 5\n";
  for (size_t i = 0; i <= kMaxTargets; i++) text += "target /d" + std::to_string(i) + "\n";
  auto problems = apply_config(config, text);
  CHECK(config.threads == 5);
  CHECK(config.targets.size() == kMaxTargets);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].error.position() == 3 + kMaxTargets);
}

TEST_CASE("config: a target that is written in another way is the same") {
  Config config;
  auto problems = apply_config(
      config, "target nfs://h/d\ntarget nfs://H:2049//d/?version=4\ntarget nfs://h/d2\n");
  REQUIRE(problems.size() == 1);
  CHECK(text_of(problems[0].error).starts_with("target nfs://H:2049//d/?version=4: stands there"));
  CHECK(problems[0].error.position() == 2);
  CHECK(config.targets.size() == 2);
}

TEST_CASE("config: garbage gives a limited number of problems") {
  Config config;
  std::string text;
  for (int i = 0; i < 1000; i++) text += "x\n";
  auto problems = apply_config(config, text);
  REQUIRE(problems.size() == kMaxConfigProblems + 1);
  CHECK(text_of(problems[kMaxConfigProblems - 1].error).starts_with("x: is not a known key"));
  CHECK(text_of(problems[kMaxConfigProblems].error) ==
        "more problems begin here, which are not told at line 33");
  CHECK(apply_config(config, text.substr(0, 2 * kMaxConfigProblems)).size() == kMaxConfigProblems);
  std::string binary(5000, '\0');
  CHECK(apply_config(config, binary).size() == 1);
  CHECK_FALSE(set_config(config, "target", std::string(1025, 'a')).ok());
}

TEST_CASE("config: every key has a default in words") {
  CHECK(config_keys().size() == 22);
  for (std::string_view key : config_keys()) CHECK(*config_default(key) != '\0');
  CHECK(std::string(config_default("nope")).find("ignored") != std::string::npos);
}

TEST_CASE("config: a file is read whole or not at all") {
  char path[] = "/tmp/dumpwright-config-XXXXXX";
  int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "threads 2\n", 10) == 10);
  ::close(fd);
  auto text = read_text_file(path, 10);
  REQUIRE(text.ok());
  CHECK(*text == "threads 2\n");
  auto longer = read_text_file(path, 9);
  REQUIRE_FALSE(longer.ok());
  CHECK(longer.error().kind() == ErrorKind::kBadInput);
  ::unlink(path);
  auto missing = read_text_file(path);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().subject() == path);
  CHECK(*read_text_file("/dev/null") == "");
  CHECK(read_text_file("/proc/cmdline").ok());
  CHECK(text_of(read_text_file("/dev").error()).find("Is a directory") != std::string::npos);
}
