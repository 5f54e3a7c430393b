// The executable, and each of its system calls on the target and on the vmcore that fails in turn.
//
// Whatever fails: no crash, no hang, no wrong page; what is called a dump is one; and the next run,
// which nothing disturbs, saves the whole.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "capture/format/dump_source.h"
#include "capture/target/file_target.h"
#include "tests/fault/cli_support.h"
#include "tests/unit/support/may_mount.h"
#include "tests/unit/support/mounts.h"
#include "tests/unit/support/syscall_tracer.h"
#include "tests/unit/support/text.h"
#include "tests/unit/support/trials.h"

using namespace dw;
using namespace dw::test;

namespace {

struct Format {
  const char* option;
  const char* file;
  bool resumes;  // an incomplete dump is finished by the next run
};

constexpr Format kFormats[] = {{"kdump", kSealedName, true}, {"stream", kZstdStreamName, false}};

// What is done to one call.
struct Fault {
  const char* name;
  int errno_value;  // 0: it is made with half its size
};

constexpr Fault kFaults[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EINTR", EINTR}, {"short", 0}};

bool below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

// The kernel does not interrupt every call, nor make each with less than it was asked for.
bool makes_sense(const Fault& fault, const TracedCall& call) {
  if (fault.errno_value == EINTR)
    return call.name == "openat" || call.name == "pwrite64" || call.name == "pread64" ||
           call.name == "write" || call.name == "fallocate";
  return fault.errno_value != 0 || call.size > 1;
}

Verdict verdict_of(const Fault& fault, const TracedCall& call) {
  if (fault.errno_value != 0) return {.errno_value = fault.errno_value, .size = {}};
  return {.errno_value = 0, .size = call.size / 2};
}

// A vmcore, and a disk of its own for the target.
struct Stage {
  explicit Stage(const Format& dump_format, const VmcoreBuilder& builder = large_crash(1))
      : format(dump_format), pages(known_pages(builder)) {
    builder.write_to(input);
  }

  [[nodiscard]] std::vector<std::string> arguments() const {
    return dumpwright_arguments({"capture", "-d1", "--threads", "2", "--hostname", "web-1",
                                 "--format", format.option, "--source", input, dumps});
  }
  [[nodiscard]] std::string folder(const char* suffix = "") const {
    return dumps + "/" + kSmallName + suffix;
  }
  void clear() const { REQUIRE(run({"/bin/rm", "-rf", dumps}).status == 0); }

  Format format;
  LoopDisk disk{"ext4", 40};
  TempDir dir;
  std::string input = dir / "input";
  std::string dumps = disk.path() + "/dumps";
  std::vector<KnownPage> pages;
  std::string undisturbed;  // the bytes of the dump when nothing happens
};

// Opens the dump, of whatever format, and compares each page.
Comparison compare_dump(const std::string& path, const std::vector<KnownPage>& pages) {
  Result<Fd> fd = open_file(path.c_str(), O_RDONLY);
  REQUIRE_MESSAGE(fd.ok(), text_of(fd));
  Result<OpenDump> dump = open_dump(std::move(*fd));
  REQUIRE_MESSAGE(dump.ok(), text_of(dump));
  Result<KdumpReader> reader = KdumpReader::create(dump->file);
  REQUIRE_MESSAGE(reader.ok(), text_of(reader));
  Comparison result = compare(pages, *reader);
  CHECK(result.wrong == 0);
  CHECK(result.refused == 0);
  CHECK(result.excluded == 0);
  if (!reader->incomplete()) CHECK(result.right == pages.size());
  return result;
}

bool stands(const std::string& folder, const std::string& file) {
  return ::access((folder + "/" + file).c_str(), F_OK) == 0;
}

void check_whole(const Stage& stage, const std::string& folder) {
  CHECK(compare_dump(folder + "/" + stage.format.file, stage.pages).right == stage.pages.size());
}

// What a disturbed run may leave.
void check_remains(const Stage& stage, const Outcome& outcome) {
  INFO(outcome.err);
  CHECK_FALSE(outcome.timed_out);
  CHECK(outcome.signal == 0);
  CHECK((outcome.status == 0 || outcome.status == 1 || outcome.status == 3));
  std::string incomplete = std::string(stage.format.file) + ".incomplete";
  bool sealed = stands(stage.folder(), stage.format.file);
  if (outcome.status == 0) CHECK(sealed);
  if (outcome.status == 3) CHECK((sealed || stands(stage.folder(), incomplete)));
  if (sealed) check_whole(stage, stage.folder());
  if (stands(stage.folder(), incomplete))
    compare_dump(stage.folder() + "/" + incomplete, stage.pages);
  if (outcome.status == 1) CHECK(contains(outcome.err, "dumpwright: error: "));
  if (outcome.status == 3) CHECK(contains(outcome.err, " is incomplete: "));
}

// The next run finishes the dump: the same bytes as if nothing had happened. Without resume, an
// incomplete dump stays and the whole one goes beside it.
void check_next_run(const Stage& stage) {
  Outcome outcome = run(stage.arguments());
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  bool first = stage.format.resumes || stands(stage.folder(), stage.format.file);
  std::string folder = stage.folder(first ? "" : "-2");
  check_whole(stage, folder);
  CHECK((read_file(folder + "/" + stage.format.file) == stage.undisturbed));
  if (!stage.format.resumes) return;
  CHECK_FALSE(stands(stage.dumps, std::string(kSmallName) + "-2"));
  CHECK_FALSE(stands(folder, kIncompleteName));
  CHECK_FALSE(stands(folder, kStagedName));
}

// What could not be read for a moment is there when all is read again.
void check_fresh_run(const Stage& stage) {
  std::vector<std::string> arguments = stage.arguments();
  arguments.insert(arguments.end(), {"--resume", "never"});
  Outcome outcome = run(arguments);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  check_whole(stage, stage.folder(stands(stage.folder(), stage.format.file) ? "" : "-2"));
}

using Wanted = bool (*)(const Stage& stage, const TracedCall& call);

bool on_target(const Stage& stage, const TracedCall& call) { return below(call.path, stage.dumps); }

bool on_vmcore(const Stage& stage, const TracedCall& call) { return call.path == stage.input; }

// The calls that are wanted of a run that nothing disturbs.
std::vector<TracedCall> calls_of(Stage& stage, Wanted wanted) {
  std::vector<TracedCall> calls;
  Outcome outcome = run_traced(stage.arguments(), [&](const TracedCall& call) {
    if (wanted(stage, call)) calls.push_back(call);
    return Verdict{};
  });
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  check_whole(stage, stage.folder());
  stage.undisturbed = read_file(stage.folder() + "/" + stage.format.file);
  return calls;
}

struct Trial {
  Outcome outcome;
  TracedCall call;  // that was disturbed
  bool reached = false;
};

Trial disturb(const Stage& stage, Wanted wanted, size_t number, const Fault& fault) {
  Trial trial;
  size_t next = 0;
  trial.outcome = run_traced(stage.arguments(), [&](const TracedCall& call) -> Verdict {
    if (!wanted(stage, call) || next++ != number || !makes_sense(fault, call)) return {};
    trial.call = call;
    trial.reached = true;
    return verdict_of(fault, call);
  });
  return trial;
}

void disturb_each(const char* what, const Format& format, Wanted wanted,
                  void (*check_next)(const Stage& stage)) {
  Stage stage(format);
  Trials trials(what);
  std::vector<TracedCall> calls = calls_of(stage, wanted);
  CHECK(calls.size() > 10);
  unsigned reached = 0;
  std::map<int, unsigned> statuses;
  for (size_t number = 0; number < calls.size(); ++number) {
    for (const Fault& fault : kFaults) {
      if (!makes_sense(fault, calls[number]) || !trials.take()) continue;
      stage.clear();
      Trial trial = disturb(stage, wanted, number, fault);
      INFO(number << " " << trial.call.name << " " << trial.call.path << " at " << trial.call.offset
                  << ": " << std::string(fault.name));
      reached += trial.reached ? 1 : 0;
      ++statuses[trial.outcome.status];
      check_remains(stage, trial.outcome);
      // What can be done again loses nothing.
      if (fault.errno_value == EINTR || fault.errno_value == 0) CHECK(trial.outcome.status == 0);
      check_next(stage);
    }
  }
  MESSAGE(std::string(format.option)
          << ": " << calls.size() << " calls, " << reached << " disturbed; " << statuses[0]
          << " whole, " << statuses[3] << " incomplete, " << statuses[1] << " not saved");
  CHECK(reached > 0);
}

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

}  // namespace

TEST_CASE("cli: each system call on the target fails in turn") {
  if (!may_mount()) return;
  for (const Format& format : kFormats)
    disturb_each("calls on the target", format, on_target, check_next_run);
}

TEST_CASE("cli: each system call on the vmcore fails in turn") {
  if (!may_mount()) return;
  for (const Format& format : kFormats)
    disturb_each("calls on the vmcore", format, on_vmcore, check_fresh_run);
}

TEST_CASE("cli: pages that cannot be read are missing, and no others") {
  if (!may_mount()) return;
  for (const Format& format : kFormats) {
    INFO(std::string(format.option));
    Stage stage(format);
    FileRange bad = range_of(stage.input, kBadPfn, kBadPages);
    Outcome outcome = run_traced(stage.arguments(), [&](const TracedCall& call) -> Verdict {
      bool hit = on_vmcore(stage, call) && call.name == "pread64" && call.offset < bad.end &&
                 bad.begin < call.offset + call.size;
      return {.errno_value = hit ? EIO : 0, .size = {}};
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
    Stage stage(format);
    std::string whole = read_file(stage.input);
    uint64_t cut = range_of(stage.input, kBadPfn, 1).begin + 100;
    size_t reads = calls_of(stage, on_vmcore).size();
    unsigned incomplete = 0;
    for (size_t number = 0; number < reads; number += 1 + number / 8) {
      CAPTURE(number);
      stage.clear();
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
