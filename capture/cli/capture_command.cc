#include "capture/cli/capture_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "capture/base/system.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/dump_description.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/memory_budget.h"
#include "capture/cli/save_dump.h"
#include "capture/format/journal_header.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/pipeline.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"
#include "capture/target/file_target.h"
#include "capture/target/pipe_target.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright capture [OPTION...] TARGET...\n"
    "Saves the crashed kernel's memory as a kdump file that crash, drgn and libkdumpfile read.\n"
    "\n"
    "TARGET is a directory, made if missing; the dump goes to TARGET/HOST-TIME/vmcore. Or it is "
    "-,\n"
    "standard output. Several targets are tried in order until one holds the whole dump.\n"
    "\n"
    "  --source VMCORE         the vmcore, /proc/vmcore by default\n"
    "  -d, --dump-level LEVEL  which pages to leave out, the sum of 1 zero, 2 cache, 4 cache with\n"
    "                          private data too, 8 user, 16 free; default 31\n"
    "  --format FORMAT         kdump (default); stream: compresses better and faster, zstd -d or "
    "lz4 -d\n"
    "                          make a kdump file of it (vmcore.zst, vmcore.lz4; default for -);\n"
    "                          elf: a sparse ELF core (vmcore.elf); flattened: makedumpfile's, for "
    "- only\n"
    "  --compress METHOD       zstd (default), zlib (not for stream), lz4 (stream only), each "
    "with\n"
    "                          :LEVEL or without, or none (always so for elf)\n"
    "  --threads N             default: one for each CPU, fewer if memory is short\n"
    "  --memory-limit BYTES    K, M or G may follow; default: half of what is available\n"
    "  --config FILE           `key value` lines; default /etc/dumpwright.conf if it exists;\n"
    "                          options given here override them\n"
    "  --resume MODE           auto (default): an incomplete dump of this crash is finished; "
    "never: it\n"
    "                          stays, and a new one is written beside it\n"
    "  --hostname NAME         for the dump's folder, instead of the crashed kernel's\n"
    "  --progress MODE         auto, plain, json or none\n"
    "\n"
    "Exit status: 0 complete or already saved, 1 nothing saved, 2 usage or configuration,\n"
    "3 saved but incomplete.\n";

WriterOptions writer_options(const Saving& saving, const Vmcore& vmcore) {
  return {
      .format = saving.format, .compression = saving.compression, .page_size = vmcore.page_size()};
}

CodingOptions coding_of(const Saving& saving, int dump_level, const Vmcore& vmcore) {
  bool share_zero = (dump_level & static_cast<int>(kLeaveOutZero)) != 0;
  CodingOptions coding = coding_for(writer_options(saving, vmcore), share_zero);
  coding.share_duplicates = can_share_pages(saving.format);
  coding.hash_seed = hash_seed_of(vmcore.headers().notes);
  return coding;
}

// As many threads as there are CPUs or as asked for, but no more than memory allows. A crash is the
// wrong moment to refuse: then, and where nobody set a limit, one thread is tried whatever it
// takes.
Result<PipelineOptions> size_pipeline(const CaptureOptions& options, const Saving& saving,
                                      int dump_level, const Vmcore& vmcore) {
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  if (options.threads > Pipeline::kMaxThreads)
    print_message("%u threads are used, no more help", Pipeline::kMaxThreads);
  PipelineOptions pipeline{.threads = std::min(asked, Pipeline::kMaxThreads),
                           .coding = coding_of(saving, dump_level, vmcore)};
  uint64_t limit = options.memory_limit;
  if (limit == 0) limit = available_memory_bytes().value_or(UINT64_MAX) / 2;
  Result<unsigned> fitting =
      threads_that_fit(capture_memory_needs(pipeline, writer_options(saving, vmcore), vmcore),
                       pipeline.threads, limit);
  bool strict = options.memory_limit != 0 && !is_crash(options);
  if (!fitting.ok() && strict) return fitting.error();
  if (!fitting.ok()) print_warning(fitting.error());
  unsigned threads = fitting.ok() ? *fitting : 1;
  if (threads < pipeline.threads)
    print_message("memory for %u of %u threads; a larger crashkernel= would make this faster",
                  threads, pipeline.threads);
  pipeline.threads = threads;
  return pipeline;
}

bool operator==(const CompressionOptions& a, const CompressionOptions& b) {
  return a.compression == b.compression && a.level == b.level;
}

// A dump is continued as it was begun, whatever is asked for now.
Result<Job> job_to_go_on(const Capture& capture, const Job& asked, const JournalHeader& journal) {
  Job job{.target = asked.target,
          .saving = {.format = static_cast<DumpFormat>(journal.format),
                     .compression = {.compression = static_cast<Compression>(journal.compression),
                                     .level = journal.level}},
          .dump_level = static_cast<int>(journal.dump_level),
          .sizes = asked.sizes};
  bool same = job.saving.format == asked.saving.format &&
              job.saving.compression == asked.saving.compression &&
              job.dump_level == asked.dump_level;
  if (same) return job;
  print_message("the dump was begun as %s, %s level %d, dump level %d, and goes on like that",
                std::string(name_of(job.saving.format)).c_str(),
                std::string(name_of(job.saving.compression.compression)).c_str(),
                job.saving.compression.level, job.dump_level);
  DW_ASSIGN(job.sizes, size_pipeline(capture.options, job.saving, job.dump_level, capture.vmcore));
  return job;
}

// Error kBadInput: it cannot be continued, and is as it was.
Result<Outcome> go_on(const Capture& capture, const Job& asked, const DumpPlace& place) {
  DW_ASSIGN(Job job, job_to_go_on(capture, asked, place.interrupted->journal));
  std::string display = job.target + "/" + place.name;
  DW_ASSIGN(DumpSaver saver,
            DumpSaver::create(capture, job, [&]() -> Result<std::unique_ptr<Target>> {
              DW_ASSIGN(FileTarget target, FileTarget::reopen(place.root.get(), place.name, display,
                                                              file_name_of(job.saving)));
              return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(target)));
            }));
  return saver.go_on();
}

Result<Outcome> begin(const Capture& capture, const Job& job, const DumpPlace& place) {
  std::string display = job.target + "/" + place.name;
  DW_ASSIGN(DumpSaver saver,
            DumpSaver::create(capture, job, [&]() -> Result<std::unique_ptr<Target>> {
              DW_ASSIGN(FileTarget target, FileTarget::create(place.root.get(), place.name, display,
                                                              file_name_of(job.saving)));
              return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(target)));
            }));
  return saver.save();
}

Result<DumpPlace> find_place(const Capture& capture, const Job& job, Resume resume) {
  return find_dump_place(
      job.target, dump_name(capture.facts, capture.options.hostname),
      capture.vmcore.headers().notes,
      crash_identity(describe_dump(capture.vmcore, capture.facts, job.dump_level).kdump), resume);
}

Result<Outcome> capture_to_directory(const Capture& capture, const Job& job) {
  DW_ASSIGN(DumpPlace place, find_place(capture, job, capture.options.resume));
  if (place.saved_already) {
    print_message("%s/%s holds this crash already; nothing to do", job.target.c_str(),
                  place.name.c_str());
    return Outcome::kComplete;
  }
  if (!place.interrupted) return begin(capture, job, place);
  Result<Outcome> outcome = go_on(capture, job, place);
  if (outcome.ok() || outcome.error().kind() != ErrorKind::kBadInput) return outcome;
  print_warning(outcome.error());
  print_message("%s/%s cannot be continued; a new dump is written beside it", job.target.c_str(),
                place.name.c_str());
  DW_ASSIGN(place, find_place(capture, job, Resume::kNever));
  return begin(capture, job, place);
}

Result<Outcome> capture_to_stdout(const Capture& capture, const Job& job) {
  DW_ASSIGN(DumpSaver saver,
            DumpSaver::create(capture, job, []() -> Result<std::unique_ptr<Target>> {
              DW_ASSIGN(PipeTarget target, PipeTarget::open_stdout());
              return std::unique_ptr<Target>(std::make_unique<PipeTarget>(std::move(target)));
            }));
  return saver.save();
}

// Tries the targets in order. The exit status is that of the best of them.
int capture_to_first_good_target(const Capture& capture, std::span<const Job> jobs) {
  int status = kExitNothing;
  bool usage = true;  // nothing but that is wrong
  for (const Job& job : jobs) {
    Result<Outcome> outcome = job.target == kStdoutTarget ? capture_to_stdout(capture, job)
                                                          : capture_to_directory(capture, job);
    if (outcome.ok() && *outcome == Outcome::kComplete) return kExitComplete;
    if (outcome.ok()) {
      status = kExitIncomplete;
      continue;
    }
    print_error(outcome.error());
    usage = usage && outcome.error().kind() == ErrorKind::kUsage;
  }
  if (status != kExitNothing) return status;
  print_message("nothing was saved");
  return usage ? kExitUsage : kExitNothing;
}

Result<std::vector<Job>> plan_jobs(const CaptureOptions& options, const Vmcore& vmcore) {
  std::vector<Job> jobs;
  for (const std::string& target : options.targets) {
    Saving saving = saving_for(options.saving, target);
    // Told once, not for every target.
    bool sized = !jobs.empty() && jobs.back().saving.format == saving.format;
    Result<PipelineOptions> sizes =
        sized ? jobs.back().sizes : size_pipeline(options, saving, options.dump_level, vmcore);
    if (!sizes.ok()) return sizes.error();
    jobs.push_back(
        {.target = target, .saving = saving, .dump_level = options.dump_level, .sizes = *sizes});
  }
  return jobs;
}

Result<int> run(const CaptureOptions& options, CaptureEvents& events) {
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(options.source.c_str()));
  CrashFacts facts = read_crash_facts(vmcore);
  if (facts.notes.damaged)
    print_message("warning: the ELF notes are damaged; what is whole is used");
  if (facts.vmcoreinfo.empty())
    print_message("warning: no VMCOREINFO: crash and drgn will need help to open this dump");
  VmcoreLayout layout = find_layout(vmcore);
  print_gaps(layout);
  DW_ASSIGN(std::vector<Job> jobs, plan_jobs(options, vmcore));
  return capture_to_first_good_target(
      {.options = options, .vmcore = vmcore, .layout = layout, .facts = facts, .events = events},
      jobs);
}

}  // namespace

int capture_command(std::span<const char* const> arguments, CaptureEvents& events) {
  Result<CaptureOptions> options = parse_capture_options(arguments);
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<int> status = run(*options, events);
  if (status.ok()) return *status;
  print_error(status.error());
  print_message("nothing was saved");
  return exit_status_of(status.error());
}

}  // namespace dw
