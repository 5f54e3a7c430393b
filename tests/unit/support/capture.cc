#include "tests/unit/support/capture.h"

#include "capture/cli/crash_facts.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"

namespace dw::test {

KdumpDescription describe(const Vmcore& vmcore, Compression compression) {
  CrashFacts facts = read_crash_facts(vmcore);
  KdumpDescription description;
  description.utsname = facts.utsname;
  description.crash_seconds = facts.crash_seconds;
  description.phys_base = facts.phys_base;
  description.cpu_count = facts.notes.cpu_count;
  description.dump_level = 1;
  description.compression = compression;
  description.notes = vmcore.headers().notes;
  description.vmcoreinfo_offset = facts.notes.vmcoreinfo_offset;
  description.vmcoreinfo_size = facts.notes.vmcoreinfo_size;
  description.max_mapnr = vmcore.memory().end_pfn();
  description.ram_pages = vmcore.memory().page_count();
  return description;
}

Status capture_into(Target& target, const Vmcore& vmcore, const CaptureSettings& settings) {
  VmcoreLayout layout;  // of no known kernel: every page is kept
  DW_ASSIGN(PassOne pass, PassOne::create(vmcore, layout, 1, settings.threads));
  PipelineOptions options{.threads = settings.threads,
                          .coding = {.compression = settings.compression,
                                     .share_duplicates = settings.share_duplicates}};
  DW_ASSIGN(Pipeline pipeline,
            Pipeline::create([&] { return VmcorePageSource::create(vmcore, layout, 1); }, options,
                             vmcore.page_size()));
  KdumpDescription description = describe(vmcore, settings.compression.compression);
  DW_ASSIGN(std::unique_ptr<KdumpWriter> writer,
            KdumpWriter::create(target, description, vmcore.page_size()));
  DW_ASSIGN(PassOneResult result, pass.run([&](uint64_t first_pfn, Bytes present, Bytes kept) {
    return writer->write_bitmaps(first_pfn, present, kept);
  }));
  DW_TRY(writer->begin(result.plan));
  DW_TRY(writer->publish());
  PageCounts counts;
  PlannedBits planned = [&](uint64_t first_pfn) -> Result<ChunkBits> {
    ChunkBits bits;
    DW_TRY(writer->read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
    return bits;
  };
  auto consume = [&](const PlannedBatch& batch, const BatchOutput& output) -> Result<uint64_t> {
    counts += output.counts();
    DW_ASSIGN(uint64_t begin, writer->append(batch, output));
    if (settings.checkpoint_each_batch) DW_TRY(writer->checkpoint());
    return begin;
  };
  Status copied = pipeline.run(result.plan, planned, consume);
  Status finished =
      writer->finish(copied.ok() && counts.missing == 0 && counts.changed_chunks == 0);
  return copied.ok() ? finished : copied;
}

}  // namespace dw::test
