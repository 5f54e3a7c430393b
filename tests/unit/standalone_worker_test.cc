#include <doctest/doctest.h>

#include <string>

#include "initrd-hooks/standalone/worker.h"

using namespace dw;

namespace {

std::vector<std::string> seen_targets;
std::vector<std::string> seen_options;
std::vector<int> statuses;

int fake_capture(int argc, char** argv, CaptureEvents& events) {
  events.on_progress();
  events.on_published();
  REQUIRE(argc >= 2);
  CHECK(argv[argc] == nullptr);
  seen_targets.emplace_back(argv[argc - 1]);
  seen_options.assign(argv, argv + argc - 1);
  size_t call = seen_targets.size() - 1;
  return call < statuses.size() ? statuses[call] : 1;
}

// The folder of this name lies in memory, wherever the tests run.
Status fake_check(const std::string& directory) {
  if (directory != "/memory") return {};
  return Error(ErrorKind::kUsage, "lies in memory").on(directory);
}

struct Outcome {
  CaptureStatus status;
  uint32_t next_target;
};

// The unit tests' machine has no packed modules: that is one warning, as in an initrd without any.
int networks = 0;
bool network_fails = false;

Status fake_network(const std::vector<BootParameter>& boot, const Log&) {
  CHECK(boot.size() == 1);
  networks++;
  if (!network_fails) return {};
  return Error(ErrorKind::kTimeout, "no interface has an address");
}

Outcome work(std::vector<std::string> targets, std::vector<int> results, uint32_t start = 0,
             uint32_t restarts = 0, uint32_t stalls = 0) {
  seen_targets.clear();
  statuses = std::move(results);
  Config config;
  config.targets = std::move(targets);
  std::vector<BootParameter> boot{{"ip", "dhcp"}};
  networks = 0;
  Log log(-1);
  auto progress = SharedProgress::make_shared();
  REQUIRE(progress.ok());
  (*progress)->next_target = start;
  (*progress)->restarts = restarts;
  (*progress)->stalls = stalls;
  CaptureStatus status =
      run_worker({&config, &boot, fake_capture, &log, fake_check, fake_network}, **progress);
  CHECK(((*progress)->last_beat_ms() > 0) == !seen_targets.empty());
  // Each capture has ended by itself, so what it published is judged already.
  (*progress)->keep_published();
  CHECK((*progress)->best() == status);
  return {status, (*progress)->next_target};
}

}  // namespace

TEST_CASE("capture arguments: only what is configured, then the targets") {
  Config config;
  CHECK(capture_arguments(config, false, {"/a", "/b"}) ==
        std::vector<std::string>{"capture", "--source", "/proc/vmcore", "/a", "/b"});
  REQUIRE(apply_config(config,
                       "dump_level 1\nformat elf\ncompress zstd:3\nthreads 4\nmemory_limit 1M\n"
                       "retry_for 5\nstall_timeout 6\ncapture_timeout 7\nssh_key /k\n"
                       "ssh_known_hosts /h\nnfs_version 3\nfinal_action halt\nhostname h\n")
              .empty());
  CHECK(capture_arguments(config, false, {"/a"}) == std::vector<std::string>{"capture",
                                                                             "--source",
                                                                             "/proc/vmcore",
                                                                             "--dump-level",
                                                                             "1",
                                                                             "--format",
                                                                             "elf",
                                                                             "--compress",
                                                                             "zstd:3",
                                                                             "--threads",
                                                                             "4",
                                                                             "--memory-limit",
                                                                             "1048576",
                                                                             "--retry-for",
                                                                             "5",
                                                                             "--stall-timeout",
                                                                             "6",
                                                                             "--ssh-key",
                                                                             "/k",
                                                                             "--ssh-known-hosts",
                                                                             "/h",
                                                                             "--nfs-version",
                                                                             "3",
                                                                             "--hostname",
                                                                             "h",
                                                                             "/a"});
}

TEST_CASE("worker: a second child captures with one thread") {
  work({"/a"}, {0}, 0, 1);
  CHECK(seen_options ==
        std::vector<std::string>{"capture", "--source", "/proc/vmcore", "--threads", "1"});
}

TEST_CASE("worker: targets in order until one is complete") {
  Outcome outcome = work({"/a", "nfs://h/b", "/c"}, {1, 0, 0});
  CHECK(outcome.status == CaptureStatus::kComplete);
  CHECK(seen_targets == std::vector<std::string>{"/a", "nfs://h/b"});
}

TEST_CASE("worker: an incomplete dump is not the end while there are targets") {
  CHECK(work({"/a", "/b"}, {3, 1}).status == CaptureStatus::kIncomplete);
  CHECK(seen_targets.size() == 2);
  CHECK(work({"/a", "/b"}, {2, 1}).status == CaptureStatus::kNothing);
}

TEST_CASE("worker: a bad device target is passed over") {
  CHECK(work({"dev:nonsense", "/b"}, {0}).status == CaptureStatus::kComplete);
  CHECK(seen_targets == std::vector<std::string>{"/b"});
  CHECK(work({"dev:nonsense"}, {}).status == CaptureStatus::kNothing);
  CHECK(seen_targets.empty());
}

TEST_CASE("worker: a directory in memory is passed over") {
  for (const char* target : {"/memory", "file:/memory"}) {
    CHECK(work({target, "/b"}, {0}).status == CaptureStatus::kComplete);
    CHECK(seen_targets == std::vector<std::string>{"/b"});
    CHECK(work({target}, {0}).status == CaptureStatus::kNothing);
  }
}

TEST_CASE("worker: the network is brought up once, for the first target that needs it") {
  CHECK(work({"/a"}, {0}).status == CaptureStatus::kComplete);
  CHECK(networks == 0);
  work({"/a", "nfs://h/b", "ssh://u@h/c", "nfs://h/d"}, {1, 1, 1, 0});
  CHECK(networks == 1);
  CHECK(seen_targets.size() == 4);
}

TEST_CASE("worker: without the network its targets are passed over, each after another try") {
  network_fails = true;
  Outcome outcome = work({"ssh://u@h/c", "nfs://h/d", "/b"}, {0});
  network_fails = false;
  CHECK(outcome.status == CaptureStatus::kComplete);
  CHECK(networks == 2);
  CHECK(seen_targets == std::vector<std::string>{"/b"});
}

TEST_CASE("worker: what is no target is passed over") {
  CHECK(work({"ssh://nobody", "/b"}, {0}).status == CaptureStatus::kComplete);
  CHECK(seen_targets == std::vector<std::string>{"/b"});
  CHECK(networks == 0);
}

TEST_CASE("worker: goes on where the child before it ended") {
  Outcome outcome = work({"/a", "/b", "/c"}, {1, 1}, 1, 1);
  CHECK(seen_targets == std::vector<std::string>{"/b", "/c"});
  CHECK(outcome.next_target == 3);
  work({"/a"}, {0}, 1, 1);
  CHECK(seen_targets == std::vector<std::string>{"/a"});
}

TEST_CASE("worker: behind a last target that stalled there is nothing to try again") {
  CHECK(work({"/a", "/b"}, {0}, 2, 0, 1).status == CaptureStatus::kNothing);
  CHECK(seen_targets.empty());
}

TEST_CASE("worker: no target is a configuration error") {
  CHECK(work({}, {}).status == CaptureStatus::kUsage);
}
