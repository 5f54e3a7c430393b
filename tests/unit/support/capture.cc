#include "tests/unit/support/capture.h"

#include "capture/cli/crash_facts.h"
#include "capture/pipeline/pipeline.h"
#include "capture/pipeline/vmcore_page_source.h"
#include "capture/plan/pass_one.h"
#include "capture/plan/presence.h"

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

DumpDescription describe(const Vmcore& vmcore) {
  return {.kdump = describe(vmcore, Compression::kNone),
          .elf = {.machine = vmcore.headers().machine,
                  .notes = vmcore.headers().notes,
                  .segments = vmcore.headers().segments,
                  .ranges = vmcore.memory().pfn_ranges()},
          .presence = [&vmcore](uint64_t first_pfn, MutableBytes bits) -> Status {
            present_bits(vmcore.memory(), first_pfn, bits);
            return {};
          }};
}

Status capture_into(Target& target, const Vmcore& vmcore, const CaptureSettings& settings) {
  VmcoreLayout layout;  // of no known kernel: every page is kept
  DW_ASSIGN(PassOne pass, PassOne::create(vmcore, layout, 1, settings.threads));
  WriterOptions format{.format = settings.format,
                       .compression = settings.compression,
                       .page_size = vmcore.page_size()};
  PipelineOptions options{.threads = settings.threads, .coding = coding_for(format, true)};
  options.coding.share_duplicates = settings.share_duplicates && can_share_pages(settings.format);
  DW_ASSIGN(Pipeline pipeline,
            Pipeline::create([&] { return VmcorePageSource::create(vmcore, layout, 1); }, options,
                             vmcore.page_size()));
  DW_ASSIGN(std::unique_ptr<DumpWriter> writer, make_dump_writer(format, describe(vmcore), target));
  DW_ASSIGN(PassOneResult result,
            pass.run([&](uint64_t first_pfn, Bytes present,
                         Bytes kept) { return writer->write_bitmaps(first_pfn, present, kept); },
                     {.in_order = writer->wants_windows_in_order(),
                      .with_digests = !writer->keeps_bitmap()}));
  DW_TRY(writer->begin(result.plan));
  DW_TRY(writer->publish());
  PageCounts counts;
  PlannedBits planned;
  if (writer->keeps_bitmap()) {
    planned = [&](uint64_t first_pfn) -> Result<ChunkBits> {
      ChunkBits bits;
      DW_TRY(writer->read_kept(first_pfn, std::as_writable_bytes(std::span(bits))));
      return bits;
    };
  }
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
