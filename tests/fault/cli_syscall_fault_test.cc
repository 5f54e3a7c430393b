// The executable, and each of its system calls on the target and on the vmcore that fails in turn,
// of a first run and of one that goes on with a dump.

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "capture/source/vmcore.h"
#include "capture/target/file_target.h"
#include "tests/fault/disturbed_runs.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/text.h"

using namespace dw;
using namespace dw::test;

namespace {

constexpr Fault kTargetFaults[] = {
    {"EIO", Fault::Kind::kFails, EIO},           {"ENOSPC", Fault::Kind::kFails, ENOSPC},
    {"EINTR", Fault::Kind::kFails, EINTR},       {"short", Fault::Kind::kShort},
    {"target gone", Fault::Kind::kFailsOn, EIO}, {"killed", Fault::Kind::kIsTheLast}};

constexpr Fault kVmcoreFaults[] = {{"EIO", Fault::Kind::kFails, EIO},
                                   {"EINTR", Fault::Kind::kFails, EINTR},
                                   {"short", Fault::Kind::kShort},
                                   {"vmcore gone", Fault::Kind::kFailsOn, EIO}};

// The bytes of the vmcore's file that hold `count` pages from `pfn` on.
struct FileRange {
  uint64_t begin;
  uint64_t end;
};
FileRange range_of(const std::string& vmcore_path, uint64_t pfn, uint64_t count) {
  Vmcore vmcore = std::move(Vmcore::open(vmcore_path.c_str()).value());
  uint64_t address = pfn * kPageBytes;
  auto range = vmcore.memory().first_range_after(address);
  uint64_t begin = range->file_offset + (address - range->begin);
  return {.begin = begin, .end = begin + count * kPageBytes};
}

constexpr uint64_t kBadPfn = 0x1000000 / kPageBytes + 100;  // in large_crash()'s random pages
constexpr uint64_t kBadPages = 3;

size_t place_of_sealing(const std::vector<TracedCall>& calls) {
  size_t place = 0;
  for (size_t i = 0; i < calls.size(); ++i)
    if (calls[i].name == "renameat2" && calls[i].path.ends_with(kIncompleteSuffix)) place = i;
  return place;
}

}  // namespace

TEST_CASE("cli: each system call on the target fails in turn") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    DisturbedStage stage(format);
    stage.save_undisturbed();
    disturb_each(stage, on_target, kTargetFaults, Trials("calls on the target"), check_next_run);
  }
}

TEST_CASE("cli: each system call on the target fails in turn, of a run that goes on with a dump") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    DisturbedStage stage(format);
    stage.save_undisturbed();
    std::vector<TracedCall> calls = wanted_calls(stage, on_target);
    // In the middle, while the dump is finished, and when only its name is missing.
    for (size_t last : {calls.size() * 3 / 5, calls.size() * 3 / 4, place_of_sealing(calls)}) {
      CAPTURE(last);
      stage.kept.clear();
      stage.restore();
      disturb(stage, on_target, last, {"killed", Fault::Kind::kIsTheLast});
      REQUIRE(stands(stage.folder(), format.file + std::string(kIncompleteSuffix)));
      stage.keep();
      disturb_each(stage, on_target, kTargetFaults, Trials("calls on the target", 20),
                   check_next_run);
    }
  }
}

TEST_CASE("cli: each system call on the vmcore fails in turn") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    DisturbedStage stage(format);
    disturb_each(stage, on_vmcore, kVmcoreFaults, Trials("calls on the vmcore"), check_fresh_run);
  }
}

TEST_CASE("cli: pages that cannot be read are missing, and no others") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    INFO(std::string(format.option));
    DisturbedStage stage(format);
    FileRange bad = range_of(stage.input, kBadPfn, kBadPages);
    Outcome outcome = run_traced(stage.arguments(), [&](const TracedCall& call) -> Verdict {
      bool hit = on_vmcore(stage, call) && call.name == "pread64" && call.offset < bad.end &&
                 bad.begin < call.offset + call.size;
      return {.errno_value = hit ? EIO : 0};
    });
    check_remains(stage, outcome);
    CHECK(outcome.status == 3);
    CHECK(contains(outcome.err, "3 pages could not be read"));
    Comparison dump = compare_dump(
        stage.folder() + "/" + stage.format.file + std::string(kIncompleteSuffix), stage.pages);
    CHECK(dump.missing == kBadPages);
    CHECK(dump.right == stage.pages.size() - kBadPages);
  }
}

TEST_CASE("cli: a vmcore that is cut while it is read") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    INFO(std::string(format.option));
    DisturbedStage stage(format);
    std::string whole = read_file(stage.input);
    uint64_t cut = range_of(stage.input, kBadPfn, 1).begin + 100;
    size_t reads = wanted_calls(stage, on_vmcore).size();
    unsigned incomplete = 0;
    for (size_t number = 0; number < reads; number += 1 + number / 8) {
      CAPTURE(number);
      stage.restore();
      size_t next = 0;
      Outcome outcome = run_traced(stage.arguments(), [&](const TracedCall& call) -> Verdict {
        if (on_vmcore(stage, call) && next++ == number)
          REQUIRE(::truncate(stage.input.c_str(), static_cast<off_t>(cut)) == 0);
        return {};
      });
      check_remains(stage, outcome);
      if (outcome.status == 3) ++incomplete;
      write_file(stage.input, whole);
    }
    CHECK(incomplete > 0);
  }
}
