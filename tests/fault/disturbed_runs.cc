#include "tests/fault/disturbed_runs.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "capture/format/dump_source.h"
#include "capture/target/file_target.h"
#include "tests/unit/support/text.h"

namespace dw::test {

namespace {

bool below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

std::string incomplete_name(const DisturbedStage& stage) {
  return std::string(stage.format.file) + std::string(kIncompleteSuffix);
}

Verdict verdict_of(const Fault& fault, const TracedCall& call) {
  switch (fault.kind) {
    case Fault::Kind::kShort:
      return {.size = call.size / 2};
    case Fault::Kind::kIsTheLast:
      return {.kill = true};
    default:
      return {.errno_value = fault.errno_value};
  }
}

}  // namespace

DisturbedStage::DisturbedStage(const Format& dump_format) : format(dump_format) {
  VmcoreBuilder builder = large_crash(1);
  builder.write_to(input);
  pages = known_pages(builder);
}

void DisturbedStage::save_undisturbed() {
  Outcome outcome = run(arguments());
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  check_whole(*this, folder());
  undisturbed = read_file(folder() + "/" + format.file);
  restore();
}

std::vector<std::string> DisturbedStage::arguments() const {
  // The name of the folder must not depend on what can be read.
  return dumpwright_arguments({"capture", "-d1", "--threads", "2", "--hostname", "web-1",
                               "--format", format.option, "--source", input, dumps});
}

std::string DisturbedStage::folder(const char* suffix) const {
  return dumps + "/" + kSmallName + suffix;
}

void DisturbedStage::restore() const {
  REQUIRE(run({"/bin/rm", "-rf", dumps}).status == 0);
  if (!kept.empty()) REQUIRE(run({"/bin/cp", "-a", kept, dumps}).status == 0);
}

void DisturbedStage::keep() {
  kept = dir / "kept";
  REQUIRE(run({"/bin/rm", "-rf", kept}).status == 0);
  REQUIRE(run({"/bin/cp", "-a", dumps, kept}).status == 0);
}

bool on_target(const DisturbedStage& stage, const TracedCall& call) {
  return below(call.path, stage.dumps);
}

bool on_vmcore(const DisturbedStage& stage, const TracedCall& call) {
  return call.path == stage.input;
}

std::vector<TracedCall> wanted_calls(const DisturbedStage& stage, WantedCall wanted) {
  std::vector<TracedCall> calls;
  Outcome outcome = run_traced(stage.arguments(), [&](const TracedCall& call) {
    if (wanted(stage, call)) calls.push_back(call);
    return Verdict{};
  });
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  check_whole(stage, stage.folder());
  return calls;
}

bool makes_sense(const Fault& fault, const TracedCall& call) {
  if (fault.kind == Fault::Kind::kShort) return call.size > 1;
  if (fault.errno_value != EINTR) return true;
  return call.name == "openat" || call.name == "pwrite64" || call.name == "pread64" ||
         call.name == "write" || call.name == "fallocate";
}

DisturbedRun disturb(const DisturbedStage& stage, WantedCall wanted, size_t number,
                     const Fault& fault) {
  DisturbedRun run;
  size_t next = 0;
  run.outcome = run_traced(stage.arguments(), [&](const TracedCall& call) -> Verdict {
    if (!wanted(stage, call)) return {};
    size_t current = next++;
    bool hit = fault.kind == Fault::Kind::kFailsOn ? current >= number : current == number;
    if (!hit || !makes_sense(fault, call)) return {};
    if (!run.reached) run.call = call;
    run.reached = true;
    return verdict_of(fault, call);
  });
  return run;
}

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

void check_whole(const DisturbedStage& stage, const std::string& folder) {
  CHECK(compare_dump(folder + "/" + stage.format.file, stage.pages).right == stage.pages.size());
}

void check_remains(const DisturbedStage& stage, const Outcome& outcome) {
  INFO(outcome.err);
  CHECK_FALSE(outcome.timed_out);
  bool killed = outcome.signal == SIGKILL;
  bool ended = outcome.status == 0 || outcome.status == 1 || outcome.status == 3;
  CHECK((killed || ended));
  bool sealed = stands(stage.folder(), stage.format.file);
  bool incomplete = stands(stage.folder(), incomplete_name(stage));
  // An incomplete dump that could not be read stays, and the whole one goes beside it.
  bool beside = stands(stage.folder("-2"), stage.format.file);
  if (outcome.status == 0) CHECK((sealed || beside));
  bool told = contains(outcome.err, "dumpwright: error: ");
  if (outcome.status == 1) CHECK(told);
  if (outcome.status == 3) CHECK((told || contains(outcome.err, " is incomplete: ")));
  if (outcome.status == 3) CHECK((sealed || incomplete));
  if (sealed) check_whole(stage, stage.folder());
  if (beside) check_whole(stage, stage.folder("-2"));
  if (incomplete) compare_dump(stage.folder() + "/" + incomplete_name(stage), stage.pages);
}

void check_next_run(const DisturbedStage& stage) {
  bool beside = stands(stage.folder("-2"), stage.format.file);
  Outcome outcome = run(stage.arguments());
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  std::string folder = stage.folder(beside ? "-2" : "");
  check_whole(stage, folder);
  CHECK((read_file(folder + "/" + stage.format.file) == stage.undisturbed));
  CHECK_FALSE(stands(folder, incomplete_name(stage)));
  CHECK_FALSE(stands(folder, kStagedName));
  if (!beside) CHECK_FALSE(stands(stage.dumps, std::string(kSmallName) + "-2"));
}

void check_fresh_run(const DisturbedStage& stage) {
  std::vector<std::string> arguments = stage.arguments();
  arguments.insert(arguments.end(), {"--resume", "never"});
  Outcome outcome = run(arguments);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  check_whole(stage, stage.folder(stands(stage.folder(), stage.format.file) ? "" : "-2"));
}

void disturb_each(const DisturbedStage& stage, WantedCall wanted, std::span<const Fault> faults,
                  Trials trials, void (*check_next)(const DisturbedStage& stage)) {
  stage.restore();
  std::vector<TracedCall> calls = wanted_calls(stage, wanted);
  CHECK(calls.size() > 10);
  unsigned reached = 0;
  std::map<int, unsigned> statuses;
  for (size_t number = 0; number < calls.size(); ++number) {
    for (const Fault& fault : faults) {
      if (!makes_sense(fault, calls[number]) || !trials.take()) continue;
      stage.restore();
      DisturbedRun run = disturb(stage, wanted, number, fault);
      INFO(number << " " << run.call.name << " " << run.call.path << " at " << run.call.offset
                  << ": " << std::string(fault.name));
      reached += run.reached ? 1 : 0;
      ++statuses[run.outcome.status];
      check_remains(stage, run.outcome);
      // What can be done again loses nothing.
      if (fault.kind == Fault::Kind::kShort || fault.errno_value == EINTR)
        CHECK(run.outcome.status == 0);
      check_next(stage);
    }
  }
  MESSAGE(std::string(stage.format.option)
          << ": " << calls.size() << " calls, " << reached << " disturbed; " << statuses[0]
          << " whole, " << statuses[3] << " incomplete, " << statuses[1] << " not saved, "
          << statuses[-1] << " killed");
  CHECK(reached > 0);
}

}  // namespace dw::test
