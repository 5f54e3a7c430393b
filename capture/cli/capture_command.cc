#include "capture/cli/capture_command.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "capture/base/checked.h"
#include "capture/base/system.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/memory_budget.h"
#include "capture/format/kdump_writer.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"
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
    "  -d, --dump-level LEVEL  which pages to leave out, the sum of 1 zero, 2 cache, 4 cache with\n"
    "                          private data too, 8 user, 16 free; default 31\n"
    "  --compress METHOD       zstd (default), zstd:LEVEL or none\n"
    "  --threads N             default: one for each CPU, fewer if memory is short\n"
    "  --memory-limit BYTES    K, M or G may follow; default: half of what is available\n"
    "  --config FILE           `key value` lines; default /etc/dumpwright.conf if it exists;\n"
    "                          options given here override them\n"
    "  --hostname NAME         for the dump's folder, instead of the crashed kernel's\n"
    "  --progress MODE         auto, plain, json or none\n"
    "\n"
    "Exit status: 0 complete or already saved, 1 nothing saved, 2 usage or configuration,\n"
    "3 saved but incomplete.\n";

// How far a target got.
enum class Outcome : uint8_t { kComplete, kIncomplete };

// Everything that a capture needs besides its target.
struct Capture {
  const CaptureOptions& options;
  const Vmcore& vmcore;
  const VmcoreLayout& layout;
  const CrashFacts& facts;
  const PipelineOptions& sizes;
  CaptureEvents& events;
};

KdumpDescription describe(const Capture& capture) {
  KdumpDescription description;
  description.utsname = capture.facts.utsname;
  description.crash_seconds = capture.facts.crash_seconds;
  description.phys_base = capture.facts.phys_base;
  description.cpu_count = capture.facts.notes.cpu_count;
  description.dump_level = capture.options.dump_level;
  description.compression = capture.options.compression.compression;
  description.notes = capture.vmcore.headers().notes;
  description.vmcoreinfo_offset = capture.facts.notes.vmcoreinfo_offset;
  description.vmcoreinfo_size = capture.facts.notes.vmcoreinfo_size;
  description.max_mapnr = capture.vmcore.memory().end_pfn();
  description.ram_pages = capture.vmcore.memory().page_count();
  return description;
}

CodingOptions coding_of(const CaptureOptions& options, const Vmcore& vmcore) {
  return {.compression = options.compression,
          .share_zero_pages = (options.dump_level & static_cast<int>(kLeaveOutZero)) != 0,
          .share_duplicates = true,
          .hash_seed = hash_seed_of(vmcore.headers().notes)};
}

MemoryNeeds memory_needs(const PipelineOptions& pipeline, const Vmcore& vmcore) {
  PipelineOptions none = pipeline;
  none.threads = 0;
  PipelineOptions one = pipeline;
  one.threads = 1;
  uint64_t page_size = vmcore.page_size();
  uint64_t fixed = Pipeline::memory_bytes(none, page_size);
  // A thread judges pages in both passes, with a classifier for each.
  return {.fixed = kProgramBytes + Plan::memory_bytes(vmcore.memory(), false) +
                   KdumpWriter::memory_bytes() + FileTarget::memory_bytes() + fixed,
          .per_thread = Pipeline::memory_bytes(one, page_size) - fixed +
                        VmcorePageSource::memory_bytes() + WindowClassifier::memory_bytes()};
}

// As many threads as there are CPUs or as asked for, but no more than memory allows. A crash is the
// wrong moment to refuse: then, and where nobody set a limit, one thread is tried whatever it
// takes.
Result<PipelineOptions> size_pipeline(const CaptureOptions& options, const Vmcore& vmcore) {
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  PipelineOptions pipeline{.threads = std::min(asked, Pipeline::kMaxThreads),
                           .coding = coding_of(options, vmcore)};
  uint64_t limit = options.memory_limit;
  if (limit == 0) limit = available_memory_bytes().value_or(UINT64_MAX) / 2;
  Result<unsigned> fitting =
      threads_that_fit(memory_needs(pipeline, vmcore), pipeline.threads, limit);
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

void print_saved(const std::string& path, const PageCounts& counts, uint64_t bytes,
                 uint64_t elapsed_ms) {
  print_message("saved %s: %" PRIu64 " pages (%" PRIu64 " stored, %" PRIu64 " repeated, %" PRIu64
                " zero), %.1f MiB in %.1f s",
                path.c_str(), counts.readable(), counts.stored, counts.shared, counts.zero,
                static_cast<double>(bytes) / (1 << 20), static_cast<double>(elapsed_ms) / 1000);
}

Outcome report_incomplete(const std::string& path, const char* why) {
  print_message("warning: %s is incomplete: %s; what landed can be read", path.c_str(), why);
  return Outcome::kIncomplete;
}

// The report is for people and tools that look around; a dump without it is still a dump.
void put_report(const Capture& capture, const ClassCounts& counts, const CaptureReport& report,
                FileTarget& target) {
  std::string text = report_text(capture.options, capture.facts, counts, report);
  Status put = target.put_file(kReportName, std::as_bytes(std::span(text)));
  if (!put.ok()) print_warning(put.error());
}

// Pass 1, with the bitmaps going to the staged file; then the head of the file, and it is
// published.
Result<PassOneResult> write_head(const Capture& capture, PassOne& pass_one, DumpWriter& writer) {
  auto bitmaps = [&](uint64_t first_pfn, Bytes present, Bytes kept) {
    capture.events.on_progress();
    return writer.write_bitmaps(first_pfn, present, kept);
  };
  DW_ASSIGN(PassOneResult result,
            pass_one.run(bitmaps, {.in_order = writer.wants_windows_in_order(),
                                   .with_digests = !writer.keeps_bitmap()}));
  print_message("%s: Linux %s, %" PRIu64 " pages of RAM, %" PRIu64 " to keep",
                capture.options.source.c_str(), capture.facts.utsname.release,
                capture.vmcore.memory().page_count(), result.plan.kept_pages());
  print_unknown(result.counts);
  DW_TRY(writer.begin(result.plan));
  DW_TRY(writer.publish());
  capture.events.on_published();
  return result;
}

// Pass 2 to the published file. An error of the target ends the copying, not the dump: what is
// there is made durable, and stays.
Outcome write_pages(const Capture& capture, const PassOneResult& pass_one, Pipeline& pipeline,
                    DumpWriter& writer, FileTarget& target) {
  PageCounts counts;
  Progress progress(capture.options.progress, pass_one.plan.kept_pages());
  put_report(capture, pass_one.counts, {.state = "saving", .pages = counts}, target);
  PlannedBits planned_bits;
  if (writer.keeps_bitmap()) {
    planned_bits = [&](uint64_t first_pfn) -> Result<ChunkBits> {
      ChunkBits bits;
      DW_TRY(writer.read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
      return bits;
    };
  }
  Status copied =
      pipeline.run(pass_one.plan, planned_bits,
                   [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
                     if (output.error()) return *output.error();
                     counts += output.counts();
                     Result<uint64_t> appended = writer.append(batch, output);
                     capture.events.on_progress();
                     progress.update(counts.total(), writer.bytes_written());
                     return appended;
                   });
  if (!copied.ok()) print_error(copied.error());
  bool complete = copied.ok() && counts.missing == 0 && counts.changed_chunks == 0;
  Status finished = writer.finish(complete);
  // A target that failed once may well fail again; the first failure is the one to read.
  if (copied.ok() && !finished.ok()) print_error(finished.error());
  complete = complete && finished.ok();
  put_report(capture, pass_one.counts,
             {.state = complete ? "complete" : "incomplete",
              .pages = counts,
              .bytes = writer.bytes_written(),
              .elapsed_ms = progress.elapsed_ms()},
             target);
  if (!copied.ok() || !finished.ok()) return report_incomplete(target.path(), "the target failed");
  print_saved(target.path(), counts, writer.bytes_written(), progress.elapsed_ms());
  if (complete) return Outcome::kComplete;
  char why[120];
  std::snprintf(why, sizeof(why),
                "%" PRIu64 " pages could not be read, %" PRIu64
                " pieces of 1 MiB changed meanwhile",
                counts.missing, counts.changed_chunks);
  return report_incomplete(target.path(), why);
}

Result<Outcome> capture_to_directory(const Capture& capture, const std::string& directory) {
  DW_ASSIGN(DumpPlace place,
            find_dump_place(directory, dump_name(capture.facts, capture.options.hostname),
                            capture.vmcore.headers().notes));
  if (place.saved_already) {
    print_message("%s/%s holds this crash already; nothing to do", directory.c_str(),
                  place.name.c_str());
    return Outcome::kComplete;
  }
  // All memory first, then the first byte of output.
  uint64_t page_size = capture.vmcore.page_size();
  unsigned dump_level = static_cast<unsigned>(capture.options.dump_level);
  DW_ASSIGN(PassOne pass_one,
            PassOne::create(capture.vmcore, capture.layout, dump_level, capture.sizes.threads));
  PageSourceFactory sources = [&] {
    return VmcorePageSource::create(capture.vmcore, capture.layout, dump_level);
  };
  DW_ASSIGN(Pipeline pipeline, Pipeline::create(sources, capture.sizes, page_size));
  DW_ASSIGN(FileTarget target,
            FileTarget::create(place.root.get(), place.name, directory + "/" + place.name));
  DW_ASSIGN(std::unique_ptr<DumpWriter> writer,
            KdumpWriter::create(target, describe(capture), page_size));
  DW_ASSIGN(PassOneResult result, write_head(capture, pass_one, *writer));
  return write_pages(capture, result, pipeline, *writer, target);
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

Result<int> run(const CaptureOptions& options, CaptureEvents& events) {
  DW_ASSIGN(Vmcore vmcore, Vmcore::open(options.source.c_str()));
  CrashFacts facts = read_crash_facts(vmcore);
  if (facts.notes.damaged)
    print_message("warning: the ELF notes are damaged; what is whole is used");
  if (facts.vmcoreinfo.empty())
    print_message("warning: no VMCOREINFO: crash and drgn will need help to open this dump");
  VmcoreLayout layout = find_layout(vmcore);
  print_gaps(layout);
  DW_ASSIGN(PipelineOptions sizes, size_pipeline(options, vmcore));
  return capture_to_first_good_target({.options = options,
                                       .vmcore = vmcore,
                                       .layout = layout,
                                       .facts = facts,
                                       .sizes = sizes,
                                       .events = events});
}

}  // namespace

int capture_command(std::span<const char* const> arguments, CaptureEvents& events) {
  Result<CaptureOptions> options = parse_capture_options(arguments);
  if (!options.ok()) {
    print_error(options.error());
    return kExitUsage;
  }
  if (options->help) {
    std::fputs(kHelp, stdout);
    return kExitComplete;
  }
  Result<int> status = run(*options, events);
  if (status.ok()) return *status;
  print_error(status.error());
  print_message("nothing was saved");
  return exit_status_of(status.error());
}

}  // namespace dw
