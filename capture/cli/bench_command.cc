#include "capture/cli/bench_command.h"

#include <algorithm>
#include <cstdio>

#include "capture/base/clock.h"
#include "capture/base/system.h"
#include "capture/cli/bench_measure.h"
#include "capture/cli/bench_options.h"
#include "capture/cli/bench_report.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"
#include "capture/report/message.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright bench [OPTION...] VMCORE [TARGET]\n"
    "Measures on part of VMCORE how fast this machine would save it: reading, each compression,\n"
    "threads, and writing to TARGET, a directory that exists; a test file is written there and\n"
    "removed. Tells the size and the time of the whole dump, and which options are best.\n"
    "\n"
    "  -d, --dump-level LEVEL  as of capture; default 31\n"
    "  --threads N             the most to try; default: one for each CPU\n"
    "  --sample BYTES          pages to measure with, spread over VMCORE; K, M or G may follow;\n"
    "                          default 64M\n"
    "  --seconds S             for each of about 30 measurements; default 1\n"
    "  --json                  one line of JSON instead of tables\n"
    "\n"
    "MB are 1,000,000 bytes. Exit status: 0 measured, 1 VMCORE cannot be read or TARGET cannot be\n"
    "written to, 2 usage.\n";

// What a target may be, from a slow disk to a fast one, where none was measured.
constexpr double kTargetSpeeds[] = {50, 200, 500, 2000};

// More than the caches hold, so that memory is read and not they.
constexpr uint64_t kReadBytes = 512 << 20;

// A file of which more than this share came from a disk is limited by the disk.
constexpr double kColdShare = 0.1;

Result<PassOneResult> judge_all(const BenchOptions& options, const Vmcore& vmcore,
                                const VmcoreLayout& layout, BenchResult& result) {
  uint64_t begin = monotonic_ns();
  DW_ASSIGN(PassOne pass, PassOne::create(vmcore, layout, options.dump_level, result.threads));
  DW_ASSIGN(PassOneResult all, pass.run([](uint64_t, Bytes, Bytes) -> Status { return {}; }));
  result.pass_one_s = static_cast<double>(monotonic_ns() - begin) / 1e9;
  result.counts = all.counts;
  return all;
}

Status measure_codecs(const BenchSetup& setup, BenchResult& result) {
  for (const Saving& spec : kBenchCodecs) {
    print_message("measuring %s", option_names(spec).c_str());
    DW_ASSIGN(CodecSpeed speed, measure_codec(setup, spec));
    DW_TRY(measure_pipeline(setup, result.threads, speed));
    result.memory_bytes.push_back(capture_memory_bytes(setup, spec, speed.threads));
    result.codecs.push_back(speed);
  }
  return {};
}

Status measure_scaling(const BenchSetup& setup, BenchResult& result) {
  for (unsigned threads : thread_counts(result.threads)) {
    print_message("measuring %u threads", threads);
    CodecSpeed speed = result.codecs[0];
    DW_TRY(measure_pipeline(setup, threads, speed));
    result.scaling.push_back({.threads = speed.threads,
                              .pipeline = speed.pipeline,
                              .efficiency = speed.efficiency,
                              .codec_share = speed.codec_share});
  }
  return {};
}

// Before anything else reads these pages: a file may still be on its disk.
Status measure_source(const BenchOptions& options, const Vmcore& vmcore, PageSource& source,
                      const Plan& plan, BenchResult& result) {
  print_message("measuring the source");
  uint64_t bytes = std::max(options.sample_bytes, kReadBytes);
  std::vector<PageRun> runs = spread_runs(source, plan, bytes / result.page_size);
  if (runs.empty()) return {};
  ReadMethod own = vmcore.mapped() ? ReadMethod::kMap : ReadMethod::kRead;
  ReadMethod other = vmcore.mapped() ? ReadMethod::kRead : ReadMethod::kMap;
  for (ReadMethod method : {own, other}) {
    DW_ASSIGN(ReadSpeed speed, measure_reading(options.source, method, runs, options.seconds));
    result.reading.push_back(speed);
  }
  return {};
}

Status measure_sample(const BenchSetup& setup, BenchResult& result) {
  if (setup.sample.filled_pages() == 0) return {};
  DW_TRY(measure_codecs(setup, result));
  return measure_scaling(setup, result);
}

// What a capture can count on, which has the machine to itself.
double pipeline_mb_per_s(const BenchResult& result, const Rate& rate, unsigned threads) {
  if (!result.disturbed) return rate.median;
  return undisturbed(rate, std::min(threads, result.cpus));
}

Workload workload_of(const BenchResult& result, const Vmcore& vmcore) {
  Workload work{.kept_bytes = result.counts.kept * result.page_size,
                .kept_pages = result.counts.kept,
                .bitmap_bytes = 2 * (vmcore.memory().end_pfn() / 8),
                .pass_one_s = result.pass_one_s,
                .free_bytes = std::nullopt};
  // A file that is not in the page cache is read from its disk: more threads make that no faster.
  if (!result.reading.empty() && result.reading[0].disk_share > kColdShare)
    work.source_mb_per_s = result.reading[0].first_mb_per_s;
  if (!result.target) return work;
  work.target_mb_per_s = result.target->mb_per_s();
  work.free_bytes = result.target->free_bytes;
  return work;
}

void advise(const Vmcore& vmcore, BenchResult& result) {
  result.disturbed = std::ranges::any_of(
      result.codecs, [](const CodecSpeed& codec) { return was_disturbed(codec.bare); });
  result.work = workload_of(result, vmcore);
  std::vector<Candidate> candidates;
  for (const CodecSpeed& codec : result.codecs) {
    candidates.push_back(
        {.format = codec.spec.format,
         .pipeline_mb_per_s = pipeline_mb_per_s(result, codec.pipeline, codec.threads),
         .stored_share = codec.stored_share});
    result.estimates.push_back(estimate(result.work, candidates.back()));
  }
  std::vector<ScalePoint> scaling;
  for (const ScalingSpeed& point : result.scaling)
    scaling.push_back({.threads = point.threads,
                       .relative = pipeline_mb_per_s(result, point.pipeline, point.threads)});
  double all = scaling.empty() ? 1 : scaling.back().relative;
  if (all > 0)
    for (ScalePoint& point : scaling) point.relative /= all;
  if (!result.target)
    result.advice = recommend_by_target(result.work, candidates, scaling, kTargetSpeeds);
  else if (auto best = recommend(result.work, candidates, scaling))
    result.advice.push_back(*best);
}

BenchResult machine_of(const BenchOptions& options, const Vmcore& vmcore) {
  BenchResult result;
  result.source = options.source;
  result.dump_level = options.dump_level;
  result.page_size = vmcore.page_size();
  result.cpus = usable_cpus();
  unsigned asked = options.threads != 0 ? options.threads : result.cpus;
  result.threads = std::min(asked, Pipeline::kMaxThreads);
  result.available_memory_bytes = available_memory_bytes().value_or(0);
  return result;
}

Status measure_vmcore(const BenchOptions& options, const Vmcore& vmcore, BenchResult& result) {
  VmcoreLayout layout = find_layout(vmcore);
  print_gaps(layout);
  print_message("judging all pages");
  DW_ASSIGN(PassOneResult pass_one, judge_all(options, vmcore, layout, result));
  DW_ASSIGN(auto source, VmcorePageSource::create(vmcore, layout, options.dump_level));
  DW_TRY(measure_source(options, vmcore, *source, pass_one.plan, result));
  DW_ASSIGN(BenchSample sample,
            BenchSample::take(vmcore, *source, pass_one.plan, options.sample_bytes));
  result.sample = sample.counts();
  BenchSetup setup{.vmcore = vmcore,
                   .layout = layout,
                   .sample = sample,
                   .dump_level = options.dump_level,
                   .seconds = options.seconds};
  if (layout.usable()) {
    DW_ASSIGN(result.judging, measure_judging(setup));
  }
  return measure_sample(setup, result);
}

Result<BenchResult> measure(const BenchOptions& options) {
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(options.source.c_str()));
  BenchResult result = machine_of(options, vmcore);
  // First, so that nobody waits for what a bad target makes worthless.
  if (!options.target.empty()) {
    print_message("measuring the target");
    DW_ASSIGN(result.target, measure_target(options.target));
  }
  DW_TRY(measure_vmcore(options, vmcore, result));
  advise(vmcore, result);
  return result;
}

}  // namespace

int bench_command(std::span<const char* const> arguments) {
  Result<BenchOptions> options = parse_bench_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<BenchResult> result = measure(*options);
  if (!result.ok()) {
    print_error(result.error());
    return exit_status_of(result.error());
  }
  std::string text = options->json ? bench_json(*result) : bench_text(*result);
  std::fputs(text.c_str(), stdout);
  return kExitComplete;
}

}  // namespace dw
