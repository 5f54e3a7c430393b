#include "tests/unit/support/capture.h"

#include "capture/cli/dump_description.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"

namespace dw::test {

KdumpDescription describe(const Vmcore& vmcore, Compression compression) {
  KdumpDescription description = describe(vmcore).kdump;
  description.compression = compression;
  return description;
}

DumpDescription describe(const Vmcore& vmcore) {
  return describe_dump(vmcore, read_crash_facts(vmcore), 1);
}

namespace {

// What both ways have in common.
struct Passes {
  PassOne one;
  Pipeline pipeline;
  std::unique_ptr<DumpWriter> writer;
  uint64_t hash_seed;
};

Result<Passes> make_passes(Target& target, const Vmcore& vmcore, const VmcoreLayout& layout,
                           const CaptureSettings& settings) {
  DW_ASSIGN(PassOne one, PassOne::create(vmcore, layout, 1, settings.threads));
  WriterOptions format{.format = settings.format,
                       .compression = settings.compression,
                       .page_size = vmcore.page_size()};
  PipelineOptions options{.threads = settings.threads, .coding = coding_for(format, true)};
  options.coding.share_duplicates = settings.share_duplicates && can_share_pages(settings.format);
  DW_ASSIGN(Pipeline pipeline,
            Pipeline::create([&] { return VmcorePageSource::create(vmcore, layout, 1); }, options,
                             vmcore.page_size()));
  DW_ASSIGN(std::unique_ptr<DumpWriter> writer, make_dump_writer(format, describe(vmcore), target));
  return Passes{.one = std::move(one),
                .pipeline = std::move(pipeline),
                .writer = std::move(writer),
                .hash_seed = options.coding.hash_seed};
}

Status write_pages(Passes& passes, const Plan& plan, const CaptureSettings& settings,
                   const ResumePoint& from) {
  DumpWriter& writer = *passes.writer;
  PageCounts counts = from.counts;
  PlannedBits planned;
  if (writer.keeps_bitmap()) {
    planned = [&](uint64_t first_pfn) -> Result<ChunkBits> {
      ChunkBits bits;
      DW_TRY(writer.read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
      return bits;
    };
  }
  auto consume = [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
    counts += output.counts();
    DW_ASSIGN(uint64_t begin, writer.append(batch, output));
    if (settings.checkpoint_each_batch) DW_TRY(writer.checkpoint());
    return begin;
  };
  Status copied = passes.pipeline.run(plan, planned, consume, from.batches);
  Status finished = writer.finish(copied.ok() && counts.missing == 0 && counts.changed_chunks == 0);
  return copied.ok() ? finished : copied;
}

}  // namespace

Status capture_into(Target& target, const Vmcore& vmcore, const CaptureSettings& settings) {
  VmcoreLayout layout;  // of no known kernel: every page is kept
  DW_ASSIGN(Passes passes, make_passes(target, vmcore, layout, settings));
  DumpWriter& writer = *passes.writer;
  DW_ASSIGN(PassOneResult result, passes.one.run(
                                      [&](uint64_t first_pfn, Bytes present, MutableBytes kept) {
                                        return writer.write_bitmaps(first_pfn, present, kept);
                                      },
                                      {.in_order = writer.wants_windows_in_order(),
                                       .with_digests = !writer.keeps_bitmap()}));
  DW_TRY(writer.begin(result.plan));
  DW_TRY(writer.publish());
  return write_pages(passes, result.plan, settings, {});
}

Result<uint64_t> resume_into(Target& target, const Vmcore& vmcore,
                             const CaptureSettings& settings) {
  VmcoreLayout layout;
  DW_ASSIGN(Passes passes, make_passes(target, vmcore, layout, settings));
  DumpWriter& writer = *passes.writer;
  DW_ASSIGN(PassOneResult result,
            passes.one.run(
                [&](uint64_t first_pfn, Bytes, MutableBytes kept) -> Status {
                  return writer.keeps_bitmap() ? writer.read_kept(first_pfn, kept) : Status();
                },
                {.with_digests = !writer.keeps_bitmap()}));
  auto remember = [&](uint64_t sequence, Bytes page, uint64_t where, uint32_t size) {
    if (!settings.share_duplicates) return;
    passes.pipeline.remember(sequence, hash_of(page, passes.hash_seed),
                             {.where = where, .size = size});
  };
  DW_ASSIGN(ResumePoint point, writer.resume(result.plan, remember));
  DW_TRY(write_pages(passes, result.plan, settings, point));
  return point.batches;
}

}  // namespace dw::test
