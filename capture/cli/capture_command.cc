#include "capture/cli/capture_command.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capture/base/checked.h"
#include "capture/base/system.h"
#include "capture/cli/capture_options.h"
#include "capture/cli/capture_report.h"
#include "capture/cli/crash_facts.h"
#include "capture/cli/dump_description.h"
#include "capture/cli/dump_place.h"
#include "capture/cli/end_with_options.h"
#include "capture/cli/exit_status.h"
#include "capture/cli/memory_budget.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"
#include "capture/report/message.h"
#include "capture/report/progress.h"
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
  CaptureEvents& events;
};

// A target, and how the crash is saved to it.
struct Job {
  const std::string& target;
  Saving saving;
  PipelineOptions sizes;
};

WriterOptions writer_options(const Saving& saving, const Vmcore& vmcore) {
  return {
      .format = saving.format, .compression = saving.compression, .page_size = vmcore.page_size()};
}

CodingOptions coding_of(const CaptureOptions& options, const Saving& saving, const Vmcore& vmcore) {
  bool share_zero = (options.dump_level & static_cast<int>(kLeaveOutZero)) != 0;
  CodingOptions coding = coding_for(writer_options(saving, vmcore), share_zero);
  coding.share_duplicates = can_share_pages(saving.format);
  coding.hash_seed = hash_seed_of(vmcore.headers().notes);
  return coding;
}

// As many threads as there are CPUs or as asked for, but no more than memory allows. A crash is the
// wrong moment to refuse: then, and where nobody set a limit, one thread is tried whatever it
// takes.
Result<PipelineOptions> size_pipeline(const CaptureOptions& options, const Saving& saving,
                                      const Vmcore& vmcore) {
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  if (options.threads > Pipeline::kMaxThreads)
    print_message("%u threads are used, no more help", Pipeline::kMaxThreads);
  PipelineOptions pipeline{.threads = std::min(asked, Pipeline::kMaxThreads),
                           .coding = coding_of(options, saving, vmcore)};
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
void put_report(const Capture& capture, const Job& job, const ClassCounts& counts,
                const CaptureReport& report, Target& target) {
  std::string text = report_text(capture.options, job.saving, capture.facts, counts, report);
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
Result<Outcome> write_pages(const Capture& capture, const Job& job, const PassOneResult& pass_one,
                            Pipeline& pipeline, DumpWriter& writer, Target& target) {
  PageCounts counts;
  Progress progress(capture.options.progress, pass_one.plan.kept_pages());
  put_report(capture, job, pass_one.counts, {.state = "saving", .pages = counts}, target);
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
  if (!copied.ok() && !writer.readable_when_cut()) return copied.error();
  if (!copied.ok()) print_error(copied.error());
  bool complete = copied.ok() && counts.missing == 0 && counts.changed_chunks == 0;
  Status finished = writer.finish(complete);
  if (!finished.ok() && !writer.readable_when_cut()) return finished.error();
  // A target that failed once may well fail again; the first failure is the one to read.
  if (copied.ok() && !finished.ok()) print_error(finished.error());
  complete = complete && finished.ok();
  put_report(capture, job, pass_one.counts,
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

using OpenTarget = std::function<Result<std::unique_ptr<Target>>()>;

Result<Outcome> save(const Capture& capture, const Job& job, const OpenTarget& open_target) {
  // All memory first, then the first byte of output.
  uint64_t page_size = capture.vmcore.page_size();
  unsigned dump_level = static_cast<unsigned>(capture.options.dump_level);
  DW_ASSIGN(PassOne pass_one,
            PassOne::create(capture.vmcore, capture.layout, dump_level, job.sizes.threads));
  PageSourceFactory sources = [&] {
    return VmcorePageSource::create(capture.vmcore, capture.layout, dump_level);
  };
  DW_ASSIGN(Pipeline pipeline, Pipeline::create(sources, job.sizes, page_size));
  DW_ASSIGN(std::unique_ptr<Target> target, open_target());
  DW_ASSIGN(std::unique_ptr<DumpWriter> writer,
            make_dump_writer(
                writer_options(job.saving, capture.vmcore),
                describe_dump(capture.vmcore, capture.facts, capture.options.dump_level), *target));
  DW_ASSIGN(PassOneResult result, write_head(capture, pass_one, *writer));
  return write_pages(capture, job, result, pipeline, *writer, *target);
}

Result<Outcome> capture_to_directory(const Capture& capture, const Job& job) {
  const std::string& directory = job.target;
  DW_ASSIGN(DumpPlace place,
            find_dump_place(directory, dump_name(capture.facts, capture.options.hostname),
                            capture.vmcore.headers().notes));
  if (place.saved_already) {
    print_message("%s/%s holds this crash already; nothing to do", directory.c_str(),
                  place.name.c_str());
    return Outcome::kComplete;
  }
  return save(capture, job, [&]() -> Result<std::unique_ptr<Target>> {
    DW_ASSIGN(FileTarget target,
              FileTarget::create(place.root.get(), place.name, directory + "/" + place.name,
                                 file_name_of(job.saving)));
    return std::unique_ptr<Target>(std::make_unique<FileTarget>(std::move(target)));
  });
}

Result<Outcome> capture_to_stdout(const Capture& capture, const Job& job) {
  return save(capture, job, []() -> Result<std::unique_ptr<Target>> {
    DW_ASSIGN(PipeTarget target, PipeTarget::open_stdout());
    return std::unique_ptr<Target>(std::make_unique<PipeTarget>(std::move(target)));
  });
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
        sized ? jobs.back().sizes : size_pipeline(options, saving, vmcore);
    if (!sizes.ok()) return sizes.error();
    jobs.push_back({.target = target, .saving = saving, .sizes = *sizes});
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
