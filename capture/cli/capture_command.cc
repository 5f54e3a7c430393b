#include "capture/cli/capture_command.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "capture/base/checked.h"
#include "capture/base/system.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/exit_status.h"
#include "capture/format/kdump_writer.h"
#include "capture/pipeline/pipeline.h"
#include "capture/plan/pass_one.h"
#include "capture/plan/presence.h"
#include "capture/report/message.h"
#include "capture/report/progress.h"
#include "capture/source/vmcore.h"

namespace dw {

namespace {

constexpr const char* kHelp =
    "usage: dumpwright capture [OPTION...] TARGET...\n"
    "Saves the crashed kernel's memory as a kdump file that crash, drgn and libkdumpfile read.\n"
    "\n"
    "TARGET is a directory, made if missing; the dump goes to TARGET/HOST-TIME/vmcore. Several\n"
    "targets are tried in order until one holds the whole dump.\n"
    "\n"
    "  --source VMCORE         the vmcore, /proc/vmcore by default\n"
    "  -d, --dump-level LEVEL  which pages to leave out: 0 none, 1 zero pages\n"
    "  --compress METHOD       zstd (default), zstd:LEVEL or none\n"
    "  --threads N             default: one for each CPU, fewer if memory is short\n"
    "  --memory-limit BYTES    K, M or G may follow; default: half of what is available\n"
    "  --config FILE           `key value` lines; options given here override them\n"
    "  --progress MODE         auto, plain, json or none\n"
    "\n"
    "Exit status: 0 complete or already saved, 1 nothing saved, 2 usage or configuration,\n"
    "3 saved but incomplete.\n";

// How far a target got.
enum class Outcome : uint8_t { kComplete, kIncomplete };

KdumpDescription describe(const Vmcore& vmcore, const CrashFacts& facts, const Plan& plan,
                          const CaptureOptions& options) {
  KdumpDescription description;
  description.utsname = facts.utsname;
  description.crash_seconds = facts.crash_seconds;
  description.phys_base = facts.phys_base;
  description.cpu_count = facts.notes.cpu_count;
  description.dump_level = options.dump_level;
  description.compression = options.compression.compression;
  description.notes = vmcore.headers().notes;
  description.vmcoreinfo_offset = facts.notes.vmcoreinfo_offset;
  description.vmcoreinfo_size = facts.notes.vmcoreinfo_size;
  description.max_mapnr = vmcore.memory().end_pfn();
  description.ram_pages = vmcore.memory().page_count();
  description.kept_pages = plan.kept_pages();
  return description;
}

// As many threads as there are CPUs or as asked for, but no more than memory allows.
PipelineOptions size_pipeline(const CaptureOptions& options, uint64_t page_size) {
  PipelineOptions pipeline{.threads = options.threads != 0 ? options.threads : usable_cpus(),
                           .compression = options.compression,
                           .share_zero_pages = (options.dump_level & 1) != 0};
  uint64_t limit = options.memory_limit;
  if (limit == 0) limit = available_memory_bytes().value_or(UINT64_MAX) / 2;
  unsigned wanted = pipeline.threads;
  while (pipeline.threads > 1 && Pipeline::memory_bytes(pipeline, page_size) > limit)
    --pipeline.threads;
  if (pipeline.threads < wanted)
    print_message("memory for %u of %u threads; a larger crashkernel= would make this faster",
                  pipeline.threads, wanted);
  return pipeline;
}

void print_saved(const std::string& path, const PageCounts& counts, uint64_t bytes,
                 uint64_t elapsed_ms) {
  print_message("saved %s: %" PRIu64 " pages (%" PRIu64 " stored, %" PRIu64
                " zero), %.1f MiB in %.1f s",
                path.c_str(), counts.stored + counts.zero, counts.stored, counts.zero,
                static_cast<double>(bytes) / (1 << 20), static_cast<double>(elapsed_ms) / 1000);
}

Outcome report_incomplete(const std::string& path, const char* why) {
  print_message("warning: %s is incomplete: %s; what landed can be read", path.c_str(), why);
  return Outcome::kIncomplete;
}

// Everything that one capture needs besides its target.
struct Capture {
  const CaptureOptions& options;
  const Vmcore& vmcore;
  const CrashFacts& facts;
  const Plan& plan;
};

Status write_bitmaps(const PhysicalMap& memory, KdumpWriter& writer) {
  std::array<std::byte, kWindowPages / 8> bits;
  uint64_t next = 0;
  for (const PfnRange& range : memory.pfn_ranges()) {
    for (uint64_t pfn = std::max(next, align_down(range.begin, kWindowPages)); pfn < range.end;
         pfn += kWindowPages) {
      present_bits(memory, pfn, bits);
      DW_TRY(writer.write_first_bitmap(pfn, bits));
      DW_TRY(writer.write_second_bitmap(pfn, bits));
      next = pfn + kWindowPages;
    }
  }
  return {};
}

Status write_head(const Capture& capture, KdumpWriter& writer) {
  DW_TRY(writer.begin());
  DW_TRY(write_bitmaps(capture.vmcore.memory(), writer));
  return writer.publish();
}

// Pass 2 to the published file. An error of the target ends the copying, not the dump: what is
// there is made durable, and stays.
Outcome write_pages(const Capture& capture, Pipeline& pipeline, KdumpWriter& writer,
                    const FileTarget& target) {
  PageCounts counts;
  Progress progress(capture.options.progress, capture.plan.kept_pages());
  Status copied = pipeline.run([&](const PlannedChunk& chunk, const ChunkOutput& output) {
    counts += output.counts();
    Status appended = writer.append(chunk.rank, output.records(), output.data());
    progress.update(counts.stored + counts.zero + counts.missing, writer.bytes_written());
    return appended;
  });
  if (!copied.ok()) print_error(copied.error());
  bool complete = copied.ok() && counts.missing == 0;
  Status finished = writer.finish(complete);
  if (!finished.ok()) print_error(finished.error());
  if (!copied.ok() || !finished.ok()) return report_incomplete(target.path(), "the target failed");
  print_saved(target.path(), counts, writer.bytes_written(), progress.elapsed_ms());
  if (complete) return Outcome::kComplete;
  char why[80];
  std::snprintf(why, sizeof(why), "%" PRIu64 " pages could not be read", counts.missing);
  return report_incomplete(target.path(), why);
}

Result<Outcome> capture_to_directory(const Capture& capture, const std::string& directory) {
  DW_ASSIGN(DumpPlace place,
            find_dump_place(directory, dump_name(capture.facts), capture.vmcore.headers().notes));
  if (place.saved_already) {
    print_message("%s/%s holds this crash already; nothing to do", directory.c_str(),
                  place.name.c_str());
    return Outcome::kComplete;
  }
  uint64_t page_size = capture.vmcore.page_size();
  // All memory first, then the first byte of output.
  DW_ASSIGN(Pipeline pipeline, Pipeline::create(capture.vmcore, capture.plan,
                                                size_pipeline(capture.options, page_size)));
  DW_ASSIGN(FileTarget target,
            FileTarget::create(place.root.get(), place.name, directory + "/" + place.name));
  DW_ASSIGN(KdumpWriter writer,
            KdumpWriter::create(
                target, describe(capture.vmcore, capture.facts, capture.plan, capture.options),
                page_size));
  DW_TRY(write_head(capture, writer));
  return write_pages(capture, pipeline, writer, target);
}

// Tries the targets in order. The exit status is that of the best of them.
int capture_to_first_good_target(const Capture& capture) {
  int status = kExitNothing;
  for (const std::string& target : capture.options.targets) {
    Result<Outcome> outcome = capture_to_directory(capture, target);
    if (outcome.ok() && *outcome == Outcome::kComplete) return kExitComplete;
    if (outcome.ok())
      status = kExitIncomplete;
    else
      print_error(outcome.error());
  }
  if (status == kExitNothing) print_message("nothing was saved");
  return status;
}

Result<int> run(const CaptureOptions& options) {
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(options.source.c_str()));
  CrashFacts facts = read_crash_facts(vmcore);
  if (facts.notes.damaged)
    print_message("warning: the ELF notes are damaged; what is whole is used");
  if (facts.vmcoreinfo.empty())
    print_message("warning: no VMCOREINFO: crash and drgn will need help to open this dump");
  DW_ASSIGN(Plan plan, plan_pages(vmcore));
  print_message("%s: Linux %s, %" PRIu64 " pages of RAM, %" PRIu64 " to keep",
                options.source.c_str(), facts.utsname.release, vmcore.memory().page_count(),
                plan.kept_pages());
  return capture_to_first_good_target(
      {.options = options, .vmcore = vmcore, .facts = facts, .plan = plan});
}

}  // namespace

int capture_command(std::span<const char* const> arguments) {
  Result<CaptureOptions> options = parse_capture_options(arguments);
  if (!options.ok()) {
    print_error(options.error());
    return kExitUsage;
  }
  if (options->help) {
    std::fputs(kHelp, stdout);
    return kExitComplete;
  }
  Result<int> status = run(*options);
  if (status.ok()) return *status;
  print_error(status.error());
  print_message("nothing was saved");
  return exit_status_of(status.error());
}

}  // namespace dw
