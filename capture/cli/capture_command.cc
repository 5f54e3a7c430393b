#include "capture/cli/capture_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/capture_sizing.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/directory_capture.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/save_dump.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"
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

Result<Outcome> capture_to_stdout(const Capture& capture, const Job& job) {
  DW_ASSIGN(DumpSaver saver,
            DumpSaver::create(capture, job, []() -> Result<std::unique_ptr<Target>> {
              DW_ASSIGN(PipeTarget target, PipeTarget::open_stdout());
              return std::unique_ptr<Target>(std::make_unique<PipeTarget>(std::move(target)));
            }));
  return saver.save();
}

// With several targets the crash may be on a later one already: then nothing is written to those
// before it.
bool is_saved_somewhere(const Capture& capture, std::span<const Job> jobs) {
  return jobs.size() > 1 && std::ranges::any_of(jobs, [&](const Job& job) {
           return job.target != kStdoutTarget && holds_whole_dump(capture, job);
         });
}

// Tries the targets in order. The exit status is that of the best of them.
int capture_to_first_good_target(const Capture& capture, std::span<const Job> jobs) {
  if (is_saved_somewhere(capture, jobs)) return kExitComplete;
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
