#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <span>
#include <string>

#include "initrd-hooks/standalone/worker.h"

using namespace dw;

namespace {

// What the capture is given, and what it makes of it.
std::vector<std::string> seen_options;
std::vector<std::string> seen_places;   // of the targets whose turn came
std::vector<std::string> seen_errors;   // of those that could not be used
std::vector<std::string> seen_reports;  // of those that a report could be put to first
std::vector<int> statuses;              // of the targets that can be used

bool tells_of_pages = false;
std::string last_outcome;

std::string text_of(const Error& error) {
  char text[400];
  error.format(text, sizeof(text));
  return text;
}

// As the real one: all targets hear of it, then one after the other until one has the dump.
int fake_capture(int argc, char** argv, CaptureEvents& events, TargetAccess& access) {
  events.on_progress();
  events.on_published();
  if (tells_of_pages) events.on_pages();
  events.on_log();
  CHECK(argv[argc] == nullptr);
  CHECK(access.mounts_devices());
  std::vector<std::string> words(argv, argv + argc);
  size_t first = 1;
  while (first < words.size() && words[first].starts_with("--")) first += 2;
  REQUIRE(first < words.size());
  seen_options.assign(words.begin(), words.begin() + static_cast<ptrdiff_t>(first));
  std::span<const std::string> targets(words.begin() + static_cast<ptrdiff_t>(first), words.end());
  for (const std::string& target : targets)
    if (auto place = access.peek(target); place.ok() && *place) seen_reports.push_back(**place);
  int best = 1;
  for (const std::string& target : targets) {
    auto place = access.take(target);
    if (!place.ok()) {
      seen_errors.push_back(text_of(place.error()));
      continue;
    }
    seen_places.push_back(*place);
    size_t call = seen_places.size() - 1;
    int status = call < statuses.size() ? statuses[call] : 1;
    if (status == 0) return 0;
    if (status != 1) best = status;
  }
  return best;
}

// The folder of this name lies in memory, wherever the tests run.
Status fake_check(const std::string& directory) {
  if (directory != "/memory") return {};
  return Error(ErrorKind::kUsage, "lies in memory").on(directory);
}

// Counted in memory that the helpers share.
struct Counts {
  std::atomic<int> networks = 0;
  std::atomic<int> mounts = 0;
  std::atomic<int> releases = 0;
};
Counts& counts() {
  static auto* shared = static_cast<Counts*>(
      ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(shared != MAP_FAILED);
  return *shared;
}

bool network_fails = false;

Status fake_network(const std::vector<BootParameter>& boot, const Log&) {
  if (boot.size() != 1) return Error(ErrorKind::kUsage, "not the command line");
  counts().networks++;
  if (!network_fails) return {};
  return Error(ErrorKind::kTimeout, "no interface has an address");
}

Result<std::string> fake_mount(const std::string& target, const std::string& mount_point,
                               const Log&) {
  counts().mounts++;
  if (target.find("hang") != target.npos)
    for (;;) ::pause();
  if (target.find("die") != target.npos) ::raise(SIGKILL);
  if (target.find("bad") != target.npos) return Error(ErrorKind::kIo, "cannot mount");
  return mount_point + target.substr(target.rfind(':') + 1);
}

Result<std::string> fake_find_raw(const std::string& target, const Log&) {
  if (target.find("none") != target.npos) return Error(ErrorKind::kTimeout, "did not appear");
  return std::string(target.starts_with("raw:PARTUUID=") ? "raw:/dev/sdx1?overwrite=yes" : "");
}

Status fake_release(const std::string& mount_point) {
  counts().releases++;
  if (mount_point.empty()) return Error(ErrorKind::kUsage, "no mount point");
  return {};
}

struct Before {
  std::vector<TargetState> states = {};
  uint32_t restarts = 0;
};

// Nothing takes long here but what hangs.
constexpr TargetLimits kLimits{
    .ready_ms = 20000, .others_ms = 20000, .retry_after_ms = 0, .release_ms = 20000, .poll_ms = 1};

// The unit tests' machine has no packed modules: that is one warning, as in an initrd without any.
CaptureStatus work(std::vector<std::string> targets, std::vector<int> results,
                   const Before& before = {}, const TargetLimits& limits = kLimits) {
  for (auto* seen : {&seen_options, &seen_places, &seen_errors, &seen_reports}) seen->clear();
  statuses = std::move(results);
  counts().networks = counts().mounts = counts().releases = 0;
  Config config;
  config.targets = std::move(targets);
  std::vector<BootParameter> boot{{"ip", "dhcp"}};
  Log log(-1);
  auto progress = SharedProgress::make_shared();
  REQUIRE(progress.ok());
  for (uint32_t i = 0; i < before.states.size(); i++) {
    (*progress)->begin_target(i);
    (*progress)->end_target(before.states[i]);
  }
  (*progress)->restarts = before.restarts;
  CaptureStatus status =
      run_worker({&config,
                  &boot,
                  fake_capture,
                  &log,
                  {fake_check, fake_network, fake_mount, fake_find_raw, fake_release},
                  limits},
                 **progress);
  // Each capture has ended by itself, so what it published is judged already.
  (*progress)->keep_published();
  CHECK((*progress)->best() == status);
  last_outcome = outcome_text(**progress);
  return status;
}

}  // namespace

TEST_CASE("worker: a partition is written to by its path, whatever it is called") {
  CHECK(work({"raw:PARTUUID=ab-01?overwrite=yes", "raw:/dev/none", "raw:/dev/sdy"}, {1, 1}) ==
        CaptureStatus::kNothing);
  CHECK(seen_places == std::vector<std::string>{"raw:/dev/sdx1?overwrite=yes", "raw:/dev/sdy"});
  CHECK(seen_reports == seen_places);
  REQUIRE(seen_errors.size() == 1);
  CHECK(seen_errors[0].find("raw:/dev/none: did not appear") != std::string::npos);
  CHECK(counts().releases == 0);
}

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

TEST_CASE("worker: a second child captures with one thread, and puts no reports first") {
  work({"/a"}, {0}, {.restarts = 1});
  CHECK(seen_options ==
        std::vector<std::string>{"capture", "--source", "/proc/vmcore", "--threads", "1"});
  CHECK(seen_reports.empty());
}

TEST_CASE("worker: one capture gets all targets, in order") {
  CHECK(work({"/a", "nfs://h/b", "/c"}, {1, 0}) == CaptureStatus::kComplete);
  CHECK(seen_reports == std::vector<std::string>{"/a", "nfs://h/b", "/c"});
  CHECK(seen_places == std::vector<std::string>{"/a", "nfs://h/b"});
}

TEST_CASE("worker: an incomplete dump is not the end while there are targets") {
  CHECK(work({"/a", "/b"}, {3, 1}) == CaptureStatus::kIncomplete);
  CHECK(seen_places.size() == 2);
  CHECK(work({"/a", "/b"}, {1, 1}) == CaptureStatus::kNothing);
}

TEST_CASE("worker: what the capture tells is told in the end") {
  CHECK(work({"/a"}, {3}) == CaptureStatus::kIncomplete);
  CHECK(last_outcome == "only vmcore-dmesg.txt was saved, and a dump without pages");
  tells_of_pages = true;
  CHECK(work({"/a"}, {3}) == CaptureStatus::kIncomplete);
  tells_of_pages = false;
  CHECK(last_outcome == "an incomplete dump was saved");
}

TEST_CASE("worker: what cannot be a target in the initrd is left out") {
  for (const char* target :
       {"dev:nonsense", "/memory", "file:/memory", "ssh://nobody", "-", "gopher://h/x"}) {
    CAPTURE(target);
    CHECK(work({target, "/b"}, {0}) == CaptureStatus::kComplete);
    CHECK(seen_places == std::vector<std::string>{"/b"});
    CHECK(seen_errors.empty());
    CHECK(work({target}, {0}) == CaptureStatus::kNothing);
    CHECK(seen_places.empty());
  }
  CHECK(counts().networks == 0);
}

TEST_CASE("worker: a target that stands there twice is tried once") {
  work({"/a", "file:/a", "/b", "/a", "/b/./"}, {1, 1});
  CHECK(seen_places == std::vector<std::string>{"/a", "/b"});
  work({"dev:UUID=AB:/x", "dev:/dev/disk/by-uuid/ab:/x/", "dev:UUID=AB:/y"}, {1, 1});
  CHECK(seen_places == std::vector<std::string>{"/kdumproot/0/x", "/kdumproot/2/y"});
}

TEST_CASE("worker: a device is mounted for the capture, and unmounted after it") {
  CHECK(work({"dev:/dev/a:/x", "/b", "dev:UUID=1:/y"}, {1, 1, 0}) == CaptureStatus::kComplete);
  std::vector<std::string> places{"/kdumproot/0/x", "/b", "/kdumproot/2/y"};
  CHECK(seen_reports == places);
  CHECK(seen_places == places);
  CHECK(counts().mounts == 2);
  CHECK(counts().releases == 2);
}

TEST_CASE("worker: a mount that hangs keeps no other target waiting for long") {
  TargetLimits limits = kLimits;
  limits.ready_ms = 1500;
  CHECK(work({"dev:/dev/hang:/x", "nfs://h/b"}, {0}, {}, limits) == CaptureStatus::kComplete);
  CHECK(seen_places == std::vector<std::string>{"nfs://h/b"});
  REQUIRE(seen_errors.size() == 1);
  CHECK(seen_errors[0].starts_with("dev:/dev/hang:/x: is not ready in time: it hangs"));
  CHECK(counts().mounts == 1);
  CHECK(counts().releases == 0);
}

TEST_CASE("worker: the capture does not wait for a later target that hangs") {
  TargetLimits limits = kLimits;
  limits.others_ms = 50;
  CHECK(work({"nfs://h/b", "dev:/dev/hang:/x"}, {0}, {}, limits) == CaptureStatus::kComplete);
  CHECK(seen_reports == std::vector<std::string>{"nfs://h/b"});
}

TEST_CASE("worker: a mount whose process is killed is one target less") {
  CHECK(work({"dev:/dev/die:/x", "/b"}, {0}) == CaptureStatus::kComplete);
  CHECK(seen_places == std::vector<std::string>{"/b"});
  REQUIRE(seen_errors.size() == 1);
  CHECK(seen_errors[0].starts_with("dev:/dev/die:/x: something killed the process"));
}

TEST_CASE("worker: the report hears why a device cannot be used") {
  CHECK(work({"dev:/dev/bad:/x", "/b"}, {0}) == CaptureStatus::kComplete);
  CHECK(seen_errors == std::vector<std::string>{"dev:/dev/bad:/x: cannot mount"});
  // Once at first, and once more when its turn came.
  CHECK(counts().mounts == 2);
}

TEST_CASE("worker: the network is brought up once, for the first target that needs it") {
  CHECK(work({"/a"}, {0}) == CaptureStatus::kComplete);
  CHECK(counts().networks == 0);
  work({"/a", "nfs://h/b", "ssh://u@h/c", "nfs://h/d"}, {1, 1, 1, 0});
  CHECK(counts().networks == 1);
  CHECK(seen_places.size() == 4);
}

TEST_CASE("worker: without the network its targets are passed over, each after another try") {
  network_fails = true;
  CaptureStatus status = work({"ssh://u@h/c", "nfs://h/d", "/b"}, {0});
  CHECK(counts().networks == 3);
  TargetLimits patient = kLimits;
  patient.retry_after_ms = 3600 * 1000;
  CHECK(work({"ssh://u@h/c", "nfs://h/d", "/b"}, {0}, {}, patient) == CaptureStatus::kComplete);
  CHECK(counts().networks == 1);
  network_fails = false;
  CHECK(status == CaptureStatus::kComplete);
  CHECK(seen_places == std::vector<std::string>{"/b"});
  REQUIRE(seen_errors.size() == 2);
  CHECK(seen_errors[1] == "nfs://h/d: no interface has an address");
}

TEST_CASE("worker: the network is tried again at once if no other target is left") {
  network_fails = true;
  TargetLimits patient = kLimits;
  patient.retry_after_ms = 3600 * 1000;
  CHECK(work({"nfs://h/d"}, {0}, {}, patient) == CaptureStatus::kNothing);
  CHECK(counts().networks == 2);
  CHECK(work({"/b", "ssh://u@h/c", "nfs://h/d"}, {1}, {}, patient) == CaptureStatus::kNothing);
  CHECK(counts().networks == 2);
  network_fails = false;
}

TEST_CASE("worker: goes on where the child before it ended") {
  work({"/a", "/b", "/c"}, {1, 1}, {.states = {TargetState::kTried}, .restarts = 1});
  CHECK(seen_places == std::vector<std::string>{"/b", "/c"});
  REQUIRE(seen_errors.size() == 1);
  CHECK(seen_errors[0] == "/a: failed before the capture was started once more");
}

TEST_CASE("worker: what stalled gets neither a try nor a report") {
  work({"dev:/dev/a:/x", "/b"}, {0}, {.states = {TargetState::kStalled}});
  CHECK(counts().mounts == 0);
  CHECK(seen_reports == std::vector<std::string>{"/b"});
  REQUIRE(seen_errors.size() == 1);
  CHECK(seen_errors[0].starts_with("dev:/dev/a:/x: did not move any more"));
}

TEST_CASE("worker: behind a last target that stalled there is nothing to try again") {
  CHECK(work({"/a", "/b"}, {0}, {.states = {TargetState::kTried, TargetState::kStalled}}) ==
        CaptureStatus::kNothing);
  CHECK(seen_places.empty());
  CHECK(seen_options.empty());
}

TEST_CASE("worker: no target is a configuration error") {
  CHECK(work({}, {}) == CaptureStatus::kUsage);
}
