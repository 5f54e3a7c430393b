#include "capture/cli/save_dump.h"

#include <cinttypes>
#include <cstdio>
#include <span>
#include <utility>

#include "capture/cli/capture_report.h"
#include "capture/cli/dump_description.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/duplicate_index.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/report/message.h"
#include "capture/report/progress.h"

namespace dw {

namespace {

double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void print_saved(const std::string& path, const PageCounts& counts, uint64_t bytes,
                 uint64_t elapsed_ms) {
  print_message("saved %s: %" PRIu64 " pages (%" PRIu64 " stored, %" PRIu64 " repeated, %" PRIu64
                " zero), %.1f MiB in %.1f s",
                path.c_str(), counts.readable(), counts.stored, counts.shared, counts.zero,
                mib(bytes), static_cast<double>(elapsed_ms) / 1000);
}

Outcome report_incomplete(const std::string& path, const char* why, const PageCounts& counts) {
  print_message("warning: %s is incomplete: %s; %s", path.c_str(), why,
                counts.readable() > 0 ? "what landed can be read" : "it has no page");
  return Outcome::kIncomplete;
}

}  // namespace

Result<DumpSaver> DumpSaver::create(const Capture& capture, const Job& job,
                                    const OpenTarget& open_target) {
  uint64_t page_size = capture.vmcore.page_size();
  unsigned dump_level = static_cast<unsigned>(job.dump_level);
  DW_ASSIGN(PassOne pass_one,
            PassOne::create(capture.vmcore, capture.layout, dump_level, job.sizes.threads));
  PageSourceFactory sources = [&] {
    return VmcorePageSource::create(capture.vmcore, capture.layout, dump_level);
  };
  DW_ASSIGN(Pipeline pipeline, Pipeline::create(sources, job.sizes, page_size));
  DumpSaver saver(capture, job, std::move(pass_one), std::move(pipeline));
  DW_ASSIGN(saver.target_, open_target());
  saver.target_->set_moved([&events = capture.events] { events.on_progress(); });
  DW_ASSIGN(saver.writer_,
            make_dump_writer({.format = job.saving.format,
                              .compression = job.saving.compression,
                              .page_size = page_size},
                             describe_dump(capture.vmcore, capture.facts, job.dump_level),
                             *saver.target_));
  return saver;
}

// The report is for people and tools that look around; a dump without it is still a dump.
void DumpSaver::put_report(const ClassCounts& counts, const char* state, const PageCounts& pages,
                           uint64_t elapsed_ms) {
  std::string text = report_text(job_->saving, job_->dump_level, capture_->facts, counts,
                                 {.state = state,
                                  .pages = pages,
                                  .bytes = writer_->bytes_written(),
                                  .elapsed_ms = elapsed_ms,
                                  .durable = target_->sync_is_durable(),
                                  .replaces_safely = target_->replaces_safely(),
                                  .failed = capture_->failed});
  Status put = target_->put_file(kReportName, std::as_bytes(std::span(text)));
  if (!put.ok()) print_warning(put.error());
}

Result<PassOneResult> DumpSaver::run_pass_one(const WindowBitmaps& bitmaps, bool in_order) {
  DW_ASSIGN(
      PassOneResult result,
      pass_one_.run(bitmaps, {.in_order = in_order, .with_digests = !writer_->keeps_bitmap()}));
  print_message("%s: Linux %s, %" PRIu64 " pages of RAM, %" PRIu64 " to keep",
                capture_->options.source.c_str(), capture_->facts.utsname.release,
                capture_->vmcore.memory().page_count(), result.plan.kept_pages());
  print_unknown(result.counts);
  return result;
}

// Table, journal and report get their room first, and a target without that much is refused. With
// less than all pages may need it is not: most dumps need less, and the first pages matter most.
Status DumpSaver::begin(const Plan& plan) {
  if (!target_->sync_is_durable())
    print_message(
        "warning: %s: this server cannot be told to keep what it has on its disk: a power cut "
        "there may cost more than the last seconds",
        job_->target.c_str());
  if (!target_->replaces_safely())
    print_message(
        "warning: %s: this server cannot replace a file in one step: the report may be missing "
        "after a power cut there",
        job_->target.c_str());
  DW_TRY(target_->reserve_file(kReportName, kReportBytes));
  DW_TRY(writer_->begin(plan));
  std::optional<uint64_t> free = target_->free_bytes();
  uint64_t most = plan.kept_pages() * capture_->vmcore.page_size();
  if (free && *free < most)
    print_message(
        "warning: %s: %.1f MiB are free, and the dump may need up to %.1f MiB; the "
        "pages that matter most come first",
        job_->target.c_str(), mib(*free), mib(most));
  return {};
}

// The bitmaps go to the staged file; then comes the head, and it is published.
Result<PassOneResult> DumpSaver::write_head() {
  auto bitmaps = [&](uint64_t first_pfn, Bytes present, MutableBytes kept) {
    capture_->events.on_progress();
    return writer_->write_bitmaps(first_pfn, present, kept);
  };
  DW_ASSIGN(PassOneResult result, run_pass_one(bitmaps, writer_->wants_windows_in_order()));
  DW_TRY(begin(result.plan));
  DW_TRY(writer_->publish());
  return result;
}

// The bitmaps are on the target already, and what they say holds, even if memory has changed since.
Result<PassOneResult> DumpSaver::judge_again() {
  auto bitmaps = [&](uint64_t first_pfn, Bytes, MutableBytes kept) -> Status {
    capture_->events.on_progress();
    if (!writer_->keeps_bitmap()) return {};
    Status read = writer_->read_kept(first_pfn, kept);
    if (read.ok() || is_lost(read.error())) return read;
    return Error(ErrorKind::kBadInput, "the dump's bitmap cannot be read back")
        .on(target_->path())
        .at(Where::kPfn, first_pfn);
  };
  return run_pass_one(bitmaps, false);
}

Result<Outcome> DumpSaver::save() {
  DW_ASSIGN(PassOneResult result, write_head());
  published_ = true;
  capture_->events.on_published();
  return write_pages(result, {});
}

Result<Outcome> DumpSaver::go_on() {
  DW_ASSIGN(PassOneResult result, judge_again());
  uint64_t seed = job_->sizes.coding.hash_seed;
  auto remember = [&](uint64_t sequence, Bytes page, uint64_t where, uint32_t size) {
    capture_->events.on_progress();
    pipeline_.remember(sequence, hash_of(page, seed), {.where = where, .size = size});
  };
  DW_ASSIGN(ResumePoint point, writer_->resume(result.plan, remember));
  print_message("%s: going on with an interrupted dump: %" PRIu64 " of %" PRIu64 " pages are there",
                target_->path().c_str(), point.counts.readable(), result.plan.kept_pages());
  published_ = true;
  capture_->events.on_published();
  // A dump is worth more than its report.
  Status reserved = target_->reserve_file(kReportName, kReportBytes);
  if (!reserved.ok()) print_warning(reserved.error());
  return write_pages(result, point);
}

// Pass 2 to the published file. An error of the target ends the copying, not the dump: what is
// there is made durable, and stays.
Result<Outcome> DumpSaver::write_pages(const PassOneResult& pass_one, const ResumePoint& from) {
  PageCounts counts = from.counts;
  if (counts.readable() > 0) capture_->events.on_pages();
  Progress progress(capture_->options.progress, pass_one.plan.kept_pages(), counts.total(),
                    writer_->bytes_written());
  put_report(pass_one.counts, "saving", counts, 0);
  PlannedBits planned_bits;
  if (writer_->keeps_bitmap()) {
    planned_bits = [&](uint64_t first_pfn) -> Result<ChunkBits> {
      ChunkBits bits;
      DW_TRY(writer_->read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
      return bits;
    };
  }
  auto consume = [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
    if (output.error()) return *output.error();
    Result<uint64_t> appended = writer_->append(batch, output);
    capture_->events.on_progress();
    if (!appended.ok()) return appended;
    counts += output.counts();
    pages_ = counts.total();
    if (counts.readable() > 0) capture_->events.on_pages();
    progress.update(counts.total(), writer_->bytes_written());
    return appended;
  };
  Status copied = pipeline_.run(pass_one.plan, planned_bits, consume, from.batches);
  if (!copied.ok() && (is_lost(copied.error()) || !writer_->readable_when_cut()))
    return copied.error();
  if (!copied.ok()) fail(copied.error());
  bool complete = copied.ok() && counts.missing == 0 && counts.changed_chunks == 0;
  Status finished = writer_->finish(complete);
  if (!finished.ok() && (is_lost(finished.error()) || !writer_->readable_when_cut()))
    return finished.error();
  // A target that failed once may well fail again; the first failure is the one to read.
  if (copied.ok() && !finished.ok()) fail(finished.error());
  bool failed = !copied.ok() || !finished.ok();
  complete = complete && !failed;
  put_report(pass_one.counts, complete ? "complete" : "incomplete", counts, progress.elapsed_ms());
  if (failed) return report_incomplete(target_->path(), "the target failed", counts);
  return tell_outcome(counts, complete, progress.elapsed_ms());
}

void DumpSaver::fail(const Error& error) {
  print_error(error);
  failure_ = error;
}

Outcome DumpSaver::tell_outcome(const PageCounts& counts, bool complete, uint64_t elapsed_ms) {
  print_saved(target_->path(), counts, writer_->bytes_written(), elapsed_ms);
  if (complete) return Outcome::kComplete;
  char why[120];
  std::snprintf(why, sizeof(why),
                "%" PRIu64 " pages could not be read, %" PRIu64
                " pieces of 1 MiB changed meanwhile",
                counts.missing, counts.changed_chunks);
  return report_incomplete(target_->path(), why, counts);
}

}  // namespace dw
