#include "capture/cli/capture_command.h"

#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/capture_sizing.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/crash_log.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/target_list.h"
#include "capture/report/message.h"
#include "capture/source/vmcore.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright capture [OPTION...] TARGET...\n"
    "Saves the crashed kernel's memory as a kdump file that crash, drgn and libkdumpfile read.\n"
    "\n"
    "TARGET, several of which are tried in order until one holds the whole dump, is one of\n"
    "  DIR, file:DIR                       a directory, made if missing: the dump goes to\n"
    "                                      DIR/HOST-TIME/vmcore\n"
    "  raw:PARTUUID=P, raw:/dev/X          a bare partition; convert takes the dump off it;\n"
    "                                      also ?force=yes, ?overwrite=yes\n"
    "  nfs://HOST[:PORT]/DIR[?version=3|4] a directory that HOST exports, or one below it; also\n"
    "                                      mountport=N, uid=N, gid=N, each behind an &\n"
    "  ssh://USER@HOST[:PORT]/DIR          a directory there, by SFTP\n"
    "  -                                   standard output\n"
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
    "  --retry-for SECONDS     how long a lost connection is tried again before the next target; "
    "default 60\n"
    "  --connect-timeout, --reply-timeout, --sync-timeout SECONDS\n"
    "                          what a server is given for each; default 10, 20, 60\n"
    "  --ssh-key FILE          a private key without a passphrase\n"
    "  --ssh-known-hosts FILE  the servers' keys, as ssh-keyscan prints them; no other server is "
    "spoken to\n"
    "  --ssh-connections N     at most so many at once, 1 to 8; default: as many as help, at most "
    "5\n"
    "  --nfs-version 3|4       default: what the server has\n"
    "  --hostname NAME         for the dump's folder, instead of the crashed kernel's\n"
    "  --progress MODE         auto, plain, json or none\n"
    "\n"
    "Exit status: 0 complete or already saved, 1 nothing saved, 2 usage or configuration,\n"
    "3 saved but incomplete.\n";

Result<std::vector<Job>> plan_jobs(const CaptureOptions& options, const Vmcore& vmcore) {
  std::vector<Job> jobs;
  for (const std::string& target : options.targets) {
    DW_ASSIGN(TargetAddress address, parse_target_address(target));
    Job job{.target = target,
            .address = std::move(address),
            .saving = saving_for(options.saving, target),
            .dump_level = options.dump_level,
            .sizes = {}};
    // Told once, not for every target.
    bool sized = !jobs.empty() && jobs.back().saving.format == job.saving.format &&
                 jobs.back().address.kind == job.address.kind;
    if (sized) {
      job.sizes = jobs.back().sizes;
    } else {
      DW_ASSIGN(job.sizes, size_pipeline(options, job, vmcore));
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

// A dump is saved without its log too.
std::shared_ptr<const CrashLog> read_log(std::shared_ptr<const Vmcore> vmcore, LogFacts& facts) {
  Result<std::shared_ptr<const CrashLog>> log = CrashLog::open(std::move(vmcore));
  if (!log.ok()) {
    char why[240];
    log.error().format(why, sizeof(why));
    facts.missing = why;
    print_message("warning: no %s: %s", kLogName, why);
    return nullptr;
  }
  facts.bytes = (*log)->size();
  facts.damaged = (*log)->damaged();
  if (facts.damaged > 0)
    print_message("warning: %s: %" PRIu64 " places of the log cannot be read", kLogName,
                  facts.damaged);
  return *log;
}

Result<int> run(const CaptureOptions& options, CaptureEvents& events, TargetAccess& access) {
  DW_ASSIGN(Vmcore opened, Vmcore::open(options.source.c_str()));
  // Shared with whoever still sends the log when the rest is over.
  auto shared = std::make_shared<const Vmcore>(std::move(opened));
  const Vmcore& vmcore = *shared;
  CrashFacts facts = read_crash_facts(vmcore);
  if (facts.notes.damaged)
    print_message("warning: the ELF notes are damaged; what is whole is used");
  if (facts.vmcoreinfo.empty())
    print_message("warning: no VMCOREINFO: crash and drgn will need help to open this dump");
  VmcoreLayout layout = find_layout(vmcore);
  print_gaps(layout);
  DW_ASSIGN(std::vector<Job> jobs, plan_jobs(options, vmcore));
  std::vector<FailedTarget> failed;
  std::shared_ptr<const CrashLog> log = read_log(shared, facts.log);
  Capture capture{.options = options,
                  .vmcore = vmcore,
                  .layout = layout,
                  .facts = facts,
                  .events = events,
                  .access = access,
                  .failed = failed,
                  .log = std::move(log)};
  return capture_to_targets(capture, jobs, failed);
}

}  // namespace

int capture_command(std::span<const char* const> arguments, CaptureEvents& events,
                    TargetAccess& access) {
  Result<CaptureOptions> options = parse_capture_options(arguments, access.mounts_devices());
  if (std::optional<int> status = end_with_options(options, kHelp)) return *status;
  Result<int> status = run(*options, events, access);
  if (status.ok()) return *status;
  print_error(status.error());
  print_message("nothing was saved");
  return exit_status_of(status.error());
}

}  // namespace dw
