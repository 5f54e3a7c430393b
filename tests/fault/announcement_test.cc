// An announcement that nobody waits for any more is still at its target when the dump comes.

#include "capture/cli/announcement.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "capture/cli/capture_sizing.h"
#include "capture/cli/store_capture.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/time_limit.h"
#include "tests/unit/support/vmcores.h"

using namespace dw;
using namespace dw::test;

TEST_CASE("announcement: a partition that an announcement is still at gets its dump") {
  if (!may_mount()) return;
  TimeLimit limit(120);
  TemporaryVmcore file(small_crash());
  Vmcore vmcore = std::move(Vmcore::open(file.path()).value());
  CrashFacts facts = read_crash_facts(vmcore);
  VmcoreLayout layout;
  CaptureEvents events;
  TargetAccess access;
  std::vector<FailedTarget> failed;
  CaptureOptions options;
  options.hostname = "host";
  options.progress = ProgressMode::kNone;
  Capture capture{options, vmcore, layout, facts, events, access, failed};
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    LoopDevice device(24 << 10);
    device.set_content(std::string(device.bytes(), '\0'));
    Job job{.target = "raw:" + device.path(),
            .address = parse_target_address("raw:" + device.path()).value(),
            .saving = saving_for({}, "raw:" + device.path()),
            .dump_level = 0,
            .sizes = {}};
    job.sizes = size_pipeline(options, job, vmcore).value();
    const Job* jobs[] = {&job};
    announce(capture, jobs, "a word", 0);
    Result<Saved> saved = capture_to_store(capture, job, "");
    REQUIRE_MESSAGE(saved.ok(), text_of(saved));
    CHECK(saved->outcome == Outcome::kComplete);
    while (announcements_running()) ::usleep(1000);
    CHECK_FALSE(announcement_running(job.target));
  }
}
