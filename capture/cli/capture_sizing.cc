#include "capture/cli/capture_sizing.h"

#include <algorithm>

#include "capture/base/system.h"
#include "capture/cli/memory_budget.h"
#include "capture/format/writer_factory.h"
#include "capture/pipeline/duplicate_index.h"
#include "capture/report/message.h"

namespace dw {

namespace {

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

}  // namespace

Result<PipelineOptions> size_pipeline(const CaptureOptions& options, const Job& job,
                                      const Vmcore& vmcore) {
  unsigned asked = options.threads != 0 ? options.threads : usable_cpus();
  if (options.threads > Pipeline::kMaxThreads)
    print_message("%u threads are used, no more help", Pipeline::kMaxThreads);
  PipelineOptions pipeline{.threads = std::min(asked, Pipeline::kMaxThreads),
                           .coding = coding_of(job.saving, job.dump_level, vmcore)};
  uint64_t limit = options.memory_limit;
  if (limit == 0) limit = available_memory_bytes().value_or(UINT64_MAX) / 2;
  Result<unsigned> fitting =
      threads_that_fit(capture_memory_needs(pipeline, writer_options(job.saving, vmcore),
                                            store_memory_bytes(job.address.kind), vmcore),
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

}  // namespace dw
